package tokens

import (
	"context"
	"errors"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/node/identity"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// InFlight is how many batches of a member the stewards have at once: one that
// they evaluate, and the next, so that they never wait for the member. While
// they do, the member checks and keeps the batch before and blinds the one
// after, so that it does not wait for them either. Four batches are in memory
// at most.
const InFlight = 2

// pipeline is one pass through the people without a token.
type pipeline struct {
	t     *Tokeniser
	cache *Cache
	key   federation.Key
	after warehouse.PersonID // everybody up to here is in a batch, or has a token

	slots   chan struct{} // taken by a batch from its ticket to its tokens
	flights chan *flight  // in order of their tickets
}

// flight is a batch that has its ticket.
type flight struct {
	batch  *batch
	tokens []oprf.Token
	err    error
	landed chan struct{} // closed when the two above are there
}

// completeAll goes through everybody, and gives its turn away in between if
// somebody waits for it: a round under the former key, or the erasure of a
// person. They end soon.
func (t *Tokeniser) completeAll(ctx context.Context, cache *Cache, key federation.Key) error {
	p := pipeline{t: t, cache: cache, key: key}
	for {
		more, err := p.run(ctx)
		if err != nil || !more {
			return err
		}
		<-t.turn
		t.turn <- struct{}{}
		if err := t.finishPending(ctx, cache, key.Epoch); err != nil {
			return err
		}
	}
}

// run makes tokens until nobody is left, or, with more, until somebody waits for
// the turn. When it returns, nothing is in flight.
func (p *pipeline) run(ctx context.Context) (more bool, err error) {
	launching, stop := context.WithCancel(ctx)
	defer stop()
	p.slots, p.flights = make(chan struct{}, InFlight), make(chan *flight, InFlight)
	p.t.beginPace(time.Now())
	var launched error
	go func() {
		defer close(p.flights)
		launched = p.launchAll(launching, ctx)
	}()
	for f := range p.flights {
		if landed := p.land(f); landed != nil && err == nil {
			err = landed
			stop() // the others that have their tickets are finished, if they can be
		}
	}
	if err == nil && !errors.Is(launched, errTurn) {
		err = launched
	}
	return errors.Is(launched, errTurn), err
}

// land keeps the tokens of a batch.
func (p *pipeline) land(f *flight) error {
	<-f.landed
	if f.err != nil {
		return f.err
	}
	if err := p.cache.Put(f.batch.sequence, f.batch.ids, f.tokens); err != nil {
		return err
	}
	p.t.keepPace(time.Now(), len(f.batch.ids))
	return p.cache.dropPending(f.batch)
}

var errTurn = errors.New("somebody waits for the turn")

// launchAll cuts the people without a token into batches and launches each.
func (p *pipeline) launchAll(ctx, flying context.Context) error {
	namespace, err := p.t.namespace()
	if err != nil {
		return err
	}
	var ids []warehouse.PersonID
	var inputs [][]byte
	for person, err := range p.cache.Missing(p.t.cfg.Warehouse.Persons(ctx, protocol.PurposePooling, p.after)) {
		if err != nil {
			return err
		}
		ids = append(ids, person.ID)
		inputs = append(inputs, identity.OPRFInput(namespace, p.key.Epoch, person.Identifier))
		if len(ids) == protocol.MaxBatch {
			if err := p.launch(ctx, flying, ids, inputs); err != nil {
				return err
			}
			ids, inputs = nil, nil
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return p.launch(ctx, flying, ids, inputs)
}

// launch takes a batch to its ticket, and has it evaluated meanwhile.
func (p *pipeline) launch(ctx, flying context.Context, ids []warehouse.PersonID, inputs [][]byte) error {
	if p.t.wanted.Load() > 0 {
		return errTurn
	}
	b, err := newBatch(ids, inputs)
	if err != nil {
		return err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := p.t.begin(ctx, p.cache, b, p.key.Epoch); err != nil {
		return err
	}
	p.after = ids[len(ids)-1]
	f := &flight{batch: b, landed: make(chan struct{})}
	go func() {
		defer close(f.landed)
		f.tokens, f.err = p.t.tokenise(flying, b, p.key.Epoch)
		<-p.slots
	}()
	p.flights <- f
	return nil
}
