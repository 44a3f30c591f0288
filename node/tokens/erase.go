package tokens

import (
	"context"
	"fmt"
	"slices"

	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// Erase removes everything that this package has of some people, under every
// key, and returns when no file has it any more. A batch under way in which one
// of them is, is given up with its ticket: the others will be asked for again.
// Whoever erases people has taken them out of the warehouse before.
func (t *Tokeniser) Erase(ctx context.Context, ids []warehouse.PersonID) error {
	if err := t.takeTurn(ctx); err != nil {
		return err
	}
	defer t.leaveTurn()
	t.using.RLock() // no epoch is deleted meanwhile
	defer t.using.RUnlock()
	epochs, err := epochsIn(t.cfg.Dir)
	if err != nil {
		return fmt.Errorf("erase tokens: %w", err)
	}
	for _, epoch := range epochs {
		cache, err := t.open(epoch)
		if err == nil {
			err = t.giveUpPending(cache, epoch, ids)
		}
		if err == nil {
			err = cache.Erase(ids)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// giveUpPending drops the batches under way in which one of these people is.
func (t *Tokeniser) giveUpPending(cache *Cache, epoch protocol.Epoch, ids []warehouse.PersonID) error {
	waiting, err := cache.pending()
	if err != nil {
		return err
	}
	for _, sequence := range waiting {
		b, err := cache.readPending(sequence)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(b.ids, func(id warehouse.PersonID) bool { return slices.Contains(ids, id) }) {
			continue
		}
		t.scanned = stamp{} // the others in it are without a token again
		if t.committed(b, epoch) {
			if err := cache.Put(sequence, nil, nil); err != nil {
				return err
			}
		}
		if err := cache.dropPending(b); err != nil {
			return err
		}
	}
	return nil
}

// noticeSetback tells, once, that the log has tickets whose tokens are not
// here: an older copy of the folder was put back. No token is wrong for that,
// and those that are missing will be made again.
func (t *Tokeniser) noticeSetback(ctx context.Context, cache *Cache, epoch protocol.Epoch, waiting []int64) error {
	last, kept := t.lastTicket(epoch), cache.Sequence()
	lost := last - kept
	for _, sequence := range waiting {
		if sequence > kept && sequence <= last {
			lost--
		}
	}
	if lost <= 0 {
		return nil
	}
	t.cfg.Logger.WarnContext(ctx, "the folder of tokens is older than the log: was it restored from a backup? The missing tokens are made again, and count again towards the allowance",
		"folder", cache.dir, "batches", lost)
	return cache.Put(last, nil, nil)
}
