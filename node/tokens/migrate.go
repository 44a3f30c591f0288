package tokens

import (
	"context"
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// Two keys are in use while members move from one to the other. Missing tokens
// are made under the newer; those under the former serve rounds until its key
// is retired, and are deleted then.

var errRetired = protocol.Refuse(ErrWaiting,
	"cette clé a été retirée\u00a0; les jetons se font avec la nouvelle",
	"this key was retired; tokens are made under the new one")

func (t *Tokeniser) keyOf(epoch protocol.Epoch) (key federation.Key, err error) {
	err = t.cfg.Author.Witness.View(func(tx federation.Tx) error {
		var ok bool
		if key, ok = federation.FindKey(tx, epoch); !ok {
			return errRetired
		}
		return nil
	})
	return key, err
}

func (t *Tokeniser) open(epoch protocol.Epoch) (*Cache, error) {
	t.opening.Lock()
	defer t.opening.Unlock()
	if cache := t.caches[epoch]; cache != nil {
		return cache, nil
	}
	cache, err := OpenCache(t.cfg.Dir, t.cfg.Identity, epoch)
	if err != nil {
		return nil, err
	}
	t.caches[epoch] = cache
	return cache, nil
}

// Close frees the files, once nobody reads them. Nothing may be asked of the
// tokeniser any more.
func (t *Tokeniser) Close() {
	t.opening.Lock()
	defer t.opening.Unlock()
	for _, cache := range t.caches {
		cache.Close()
	}
}

// Use lends the tokens of a key in use to a round, as complete as they can be:
// under the newest key everybody has one; under the former, those that had one
// when the newest came.
func (t *Tokeniser) Use(ctx context.Context, epoch protocol.Epoch, read func(*Cache) error) error {
	newest, err := t.key()
	if err != nil {
		return err
	}
	if newest.Epoch == epoch {
		err = t.Complete(ctx)
	} else {
		err = t.CompleteFormer(ctx)
	}
	if err != nil {
		return fmt.Errorf("some people have no token yet: %w", err)
	}
	t.using.RLock()
	defer t.using.RUnlock()
	if _, err := t.keyOf(epoch); err != nil {
		return err
	}
	cache, err := t.open(epoch)
	if err != nil {
		return err
	}
	return read(cache)
}

// CompleteFormer finishes the batches that were under way when the newest key
// came, if their tickets were committed by then. Else nothing was debited for
// one, and its people get their tokens under the newest key. It does nothing while
// there is no former key.
func (t *Tokeniser) CompleteFormer(ctx context.Context) error {
	if err := t.takeTurn(ctx); err != nil {
		return err
	}
	defer t.leaveTurn()
	var keys []federation.Key
	err := t.cfg.Author.Witness.View(func(tx federation.Tx) error { keys = federation.Keys(tx); return nil })
	if err != nil || len(keys) < 2 {
		return err
	}
	epoch := keys[0].Epoch
	cache, err := t.open(epoch)
	if err != nil {
		return err
	}
	waiting, err := cache.pending()
	if err != nil {
		return err
	}
	for _, sequence := range waiting {
		b, err := cache.readPending(sequence)
		if err == nil && !t.committed(b, epoch) {
			err = cache.dropPending(b)
		}
		if err != nil {
			return err
		}
	}
	return t.finishPending(ctx, cache, epoch)
}

// Forget deletes the tokens of retired keys: of epochs before the oldest in use,
// and of no later one, since a node that reads its log again passes by the past.
func (t *Tokeniser) Forget(ctx context.Context) error {
	if err := t.takeTurn(ctx); err != nil {
		return err
	}
	defer t.leaveTurn()
	var oldest protocol.Epoch
	err := t.cfg.Author.Witness.View(func(tx federation.Tx) error {
		if keys := federation.Keys(tx); len(keys) > 0 {
			oldest = keys[0].Epoch
		}
		return nil
	})
	if err != nil {
		return err
	}
	kept, err := epochsIn(t.cfg.Dir)
	if err != nil {
		return err
	}
	for _, epoch := range kept {
		if epoch < oldest {
			if err := t.delete(epoch); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Tokeniser) delete(epoch protocol.Epoch) error {
	t.using.Lock()
	defer t.using.Unlock()
	t.opening.Lock()
	defer t.opening.Unlock()
	if cache := t.caches[epoch]; cache != nil {
		delete(t.caches, epoch)
		cache.Close()
	}
	return deleteEpoch(t.cfg.Dir, epoch)
}

// Finished is the newest epoch under which this process has found nobody
// without a token; 0 for none.
func (t *Tokeniser) Finished() protocol.Epoch {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.finished
}
