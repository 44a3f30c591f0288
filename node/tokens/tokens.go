package tokens

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/node/identity"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/wire"
)

// Config is what a tokeniser works with.
type Config struct {
	Dir       string // belongs to this package
	Identity  *seal.Identity
	Author    *author.Author
	Warehouse *warehouse.Warehouse
	// Send seals a letter to a member and gives it to the relay, which may
	// lose it.
	Send   func(ctx context.Context, to protocol.MemberID, letter *wire.Letter) error
	Logger *slog.Logger
	// AskAgain is how long a steward has to answer before it is asked again; 3
	// seconds if it is 0.
	AskAgain time.Duration
}

// Tokeniser makes the tokens that are missing, batch after batch.
type Tokeniser struct {
	cfg Config

	// turn holds one place, taken while missing tokens are made: two at once
	// would debit the same people twice, under tickets of the same number.
	turn chan struct{}

	// scanned is the warehouse as it was when nobody in it was without a token.
	// Whoever holds turn may touch it.
	scanned stamp

	// opening guards the cache, which takes seconds to open if there are
	// millions of people.
	opening sync.Mutex
	cache   *Cache
	epoch   protocol.Epoch

	// mu guards what follows, and is held for a moment only: the relay's
	// answers are delivered under it.
	mu      sync.Mutex
	waiting map[answerKey]chan *wire.EvaluateReply
	avoided map[protocol.MemberID]time.Time // stewards that failed, until when
	trouble error
}

// answerKey says which answer is awaited: from whom, for which ticket.
type answerKey struct {
	from     protocol.MemberID
	sequence int64
}

// New returns a tokeniser.
func New(cfg Config) *Tokeniser {
	if cfg.AskAgain == 0 {
		cfg.AskAgain = askAgain
	}
	return &Tokeniser{
		cfg: cfg, turn: make(chan struct{}, 1), waiting: map[answerKey]chan *wire.EvaluateReply{}, avoided: map[protocol.MemberID]time.Time{},
	}
}

// ErrWaiting: tokens cannot be made now. Nothing is lost; it goes on by itself
// when what the words name has come.
var ErrWaiting = errors.New("tokens cannot be made now")

// ErrNoKey is the [ErrWaiting] of a federation without a key.
var ErrNoKey = protocol.Refuse(ErrWaiting,
	"il n'y a pas encore de clé\u00a0: les membres élisent d'abord des gardiens de clé",
	"there is no key yet: the members elect key stewards first")

// Cache is the tokens under the key in use.
func (t *Tokeniser) Cache() (*Cache, federation.Key, error) {
	key, err := t.key()
	if err != nil {
		return nil, key, err
	}
	t.opening.Lock()
	defer t.opening.Unlock()
	if t.cache == nil || t.epoch != key.Epoch {
		if t.cache, err = OpenCache(t.cfg.Dir, t.cfg.Identity, key.Epoch); err != nil {
			return nil, key, err
		}
		t.epoch = key.Epoch
	}
	return t.cache, key, nil
}

func (t *Tokeniser) key() (key federation.Key, err error) {
	err = t.cfg.Author.Witness.View(func(tx federation.Tx) error {
		var ok bool
		if key, ok = federation.ActiveKey(tx); !ok {
			return ErrNoKey
		}
		return nil
	})
	return key, err
}

// Progress is how far tokenising has come.
type Progress struct {
	Done  int64 `json:"done"`  // people with a token
	Total int64 `json:"total"` // people who consent to pooling
}

// Progress counts; without a key nothing is done yet.
func (t *Tokeniser) Progress(ctx context.Context) (Progress, error) {
	var p Progress
	summary, err := t.cfg.Warehouse.Summary(ctx)
	if err != nil {
		return p, err
	}
	p.Total = summary.Consented[protocol.PurposePooling]
	if cache, _, err := t.Cache(); err == nil {
		// Tokens of people who withdrew stay until the key changes.
		p.Done = min(cache.Len(), p.Total)
	}
	return p, nil
}

// Trouble is why tokenising does not go on; nil when it does.
func (t *Tokeniser) Trouble() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trouble
}

// Complete makes every missing token. It returns when none is missing, or with
// what is in the way.
func (t *Tokeniser) Complete(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := t.complete(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trouble = err; errors.Is(err, ErrNoKey) {
		return nil
	}
	return err
}

func (t *Tokeniser) complete(ctx context.Context) error {
	cache, key, err := t.Cache()
	if err != nil {
		return err
	}
	if err := t.finishPending(ctx, cache, key.Epoch); err != nil {
		return err
	}
	now, err := t.look(ctx, key.Epoch)
	if err != nil || now == t.scanned {
		return err
	}
	for after := warehouse.PersonID(0); ; {
		ids, inputs, err := t.gather(ctx, cache, key, after)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			t.scanned = now
			return nil
		}
		after = ids[len(ids)-1]
		b, err := newBatch(ids, inputs)
		if err != nil {
			return err
		}
		if err := cache.keepPending(b); err != nil {
			return err
		}
		if err := t.finish(ctx, cache, b, key.Epoch); err != nil {
			return err
		}
	}
}

// stamp tells one state of the warehouse from another, as far as it matters
// for who needs a token.
type stamp struct {
	epoch                      protocol.Epoch
	people, consented, imports int64
	last                       time.Time
}

// look stamps the warehouse: reading through everybody takes long, and most of
// the time nothing has changed.
func (t *Tokeniser) look(ctx context.Context, epoch protocol.Epoch) (stamp, error) {
	s, err := t.cfg.Warehouse.Summary(ctx)
	return stamp{
		epoch: epoch, people: s.People, consented: s.Consented[protocol.PurposePooling],
		imports: s.Imports, last: s.LastImport.UTC(),
	}, err
}

// finishPending goes on with the batch that an earlier attempt, or an earlier
// process, left.
func (t *Tokeniser) finishPending(ctx context.Context, cache *Cache, epoch protocol.Epoch) error {
	b, err := cache.pending()
	if err != nil || b == nil {
		return err
	}
	if cache.hasAll(b) {
		return cache.dropPending()
	}
	return t.finish(ctx, cache, b, epoch)
}

// finish takes a batch that is on disk to its tokens.
func (t *Tokeniser) finish(ctx context.Context, cache *Cache, b *batch, epoch protocol.Epoch) error {
	if err := t.commit(ctx, b, epoch); err != nil {
		return err
	}
	tokens, err := t.tokenise(ctx, b, epoch)
	if err != nil {
		return err
	}
	if err := cache.Put(b.sequence, b.ids, tokens); err != nil {
		return err
	}
	return cache.dropPending()
}

// gather collects the next people without a token, numbered above after.
func (t *Tokeniser) gather(ctx context.Context, cache *Cache, key federation.Key, after warehouse.PersonID) (ids []warehouse.PersonID, inputs [][]byte, err error) {
	namespace, err := t.namespace()
	if err != nil {
		return nil, nil, err
	}
	for person, err := range t.cfg.Warehouse.Persons(ctx, protocol.PurposePooling, after) {
		if err != nil {
			return nil, nil, err
		}
		if cache.Has(person.ID) {
			continue
		}
		ids = append(ids, person.ID)
		inputs = append(inputs, identity.OPRFInput(namespace, key.Epoch, person.Identifier))
		if len(ids) == protocol.MaxBatch {
			break
		}
	}
	return ids, inputs, nil
}

func (t *Tokeniser) namespace() (protocol.Namespace, error) {
	var namespace protocol.Namespace
	err := t.cfg.Author.Witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		namespace = view.Charter.Namespace
		return err
	})
	return namespace, err
}

// commit debits the member's allowance for the batch, once. One batch at a
// time is under way, so its ticket is the last one or none yet. A ticket that
// an ended process sent, and that is still on its way, has the number and the
// content of this one: the log takes one of the two.
func (t *Tokeniser) commit(ctx context.Context, b *batch, epoch protocol.Epoch) error {
	last, found := t.lastTicket(epoch)
	if found && last == b.ticket(epoch, last.Sequence) {
		b.sequence = last.Sequence
		return nil
	}
	wanted := b.ticket(epoch, last.Sequence+1)
	if err := author.Post(ctx, t.cfg.Author, wanted); err != nil {
		return err
	}
	// The log itself says so, or the stewards will not answer.
	if last, _ := t.lastTicket(epoch); last != wanted {
		return author.ErrUnseen
	}
	b.sequence = wanted.Sequence
	return nil
}

func (t *Tokeniser) lastTicket(epoch protocol.Epoch) (last protocol.Ticket, ok bool) {
	_ = t.cfg.Author.Witness.View(func(tx federation.Tx) error { // the function never fails
		sequence := federation.TicketsOf(tx, t.cfg.Author.Member, epoch).Sequence
		last, ok = federation.FindTicket(tx, t.cfg.Author.Member, epoch, sequence)
		return nil
	})
	return last, ok
}

// tokenise has a batch evaluated. A steward that answers wrongly or not at all
// is replaced; the ticket stays the same, so nothing is debited twice. Who the
// stewards are is read each time: the key may be handed on meanwhile.
func (t *Tokeniser) tokenise(ctx context.Context, b *batch, epoch protocol.Epoch) ([]oprf.Token, error) {
	for {
		key, err := t.key()
		if err != nil {
			return nil, err
		}
		if key.Epoch != epoch {
			return nil, errReplaced
		}
		public, err := oprf.ParsePublicKey(key.PublicKey)
		if err != nil {
			return nil, err
		}
		chosen, err := t.choose(key)
		if err != nil {
			return nil, err
		}
		partials, err := t.askAll(ctx, b, key, chosen)
		if err == nil {
			var tokens []oprf.Token
			if tokens, err = b.blinding.Finalize(public, seats(chosen), partials); err == nil {
				return tokens, nil
			}
		}
		if ctx.Err() != nil || !t.blame(ctx, chosen, err) {
			return nil, err
		}
	}
}

var errReplaced = protocol.Refuse(ErrWaiting,
	"la clé vient d'être remplacée\u00a0; la création des jetons reprend avec la nouvelle",
	"the key was replaced just now; tokenising goes on with the new one")
