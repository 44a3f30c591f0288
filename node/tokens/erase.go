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
	return t.erase(ids)
}

// Renew removes the tokens of somebody who has another identifier now, for
// [Tokeniser.Complete] to make anew.
func (t *Tokeniser) Renew(ctx context.Context, id warehouse.PersonID) error {
	if err := t.takeTurn(ctx); err != nil {
		return err
	}
	defer t.leaveTurn()
	t.taken++ // by its counts, the warehouse has not changed
	return t.erase([]warehouse.PersonID{id})
}

// erase does it. The turn is held.
func (t *Tokeniser) erase(ids []warehouse.PersonID) error {
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
		t.taken++ // the others in it are without a token again
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

// Holding lists the key epochs under which this node has a person's token, or a
// batch under way with the person in it.
func (t *Tokeniser) Holding(ctx context.Context, id warehouse.PersonID) ([]protocol.Epoch, error) {
	if err := t.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer t.leaveTurn()
	t.using.RLock()
	defer t.using.RUnlock()
	epochs, err := epochsIn(t.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("look for a person's tokens: %w", err)
	}
	var holding []protocol.Epoch
	for _, epoch := range epochs {
		cache, err := t.open(epoch)
		if err != nil {
			return nil, err
		}
		has, err := cache.Has(id)
		if err == nil && !has {
			has, err = cache.waits(id)
		}
		if err != nil {
			return nil, err
		}
		if has {
			holding = append(holding, epoch)
		}
	}
	return holding, nil
}

// waits reports whether a person is in a batch under way.
func (c *Cache) waits(id warehouse.PersonID) (bool, error) {
	waiting, err := c.pending()
	for _, sequence := range waiting {
		b, err := c.readPending(sequence)
		if err != nil {
			return false, err
		}
		if slices.Contains(b.ids, id) {
			return true, nil
		}
	}
	return false, err
}
