package tokens

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/author"
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
	// wanted is how many wait for it.
	wanted atomic.Int32

	// scanned is the warehouse as it was when nobody in it was without a token.
	// Whoever holds turn may touch it.
	scanned stamp
	// taken counts how often tokens were taken from people who need one. It is
	// part of a stamp, for that may happen while somebody goes through all.
	taken int64

	// using is held for reading by whoever reads tokens for a round, and for
	// writing while those of a retired key are deleted.
	using sync.RWMutex

	// opening guards the open caches.
	opening sync.Mutex
	caches  map[protocol.Epoch]*Cache

	// mu guards what follows, and is held for a moment only: the relay's
	// answers are delivered under it.
	mu      sync.Mutex
	waiting map[answerKey]chan *wire.EvaluateReply
	avoided map[protocol.MemberID]time.Time // stewards that failed, until when
	trouble error
	// finished is the newest epoch under which nobody was without a token, and
	// pace how fast tokens are made.
	finished protocol.Epoch
	pace     pace
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
		cfg: cfg, turn: make(chan struct{}, 1), caches: map[protocol.Epoch]*Cache{}, waiting: map[answerKey]chan *wire.EvaluateReply{}, avoided: map[protocol.MemberID]time.Time{},
	}
}

// ErrWaiting: tokens cannot be made now. Nothing is lost; it goes on by itself
// when what the words name has come.
var ErrWaiting = errors.New("tokens cannot be made now")

// ErrNoKey is the [ErrWaiting] of a federation without a key.
var ErrNoKey = protocol.Refuse(ErrWaiting,
	"il n'y a pas encore de clé\u00a0: les membres élisent d'abord des gardiens de clé",
	"there is no key yet: the members elect key stewards first")

// Cache is the tokens under the newest key.
func (t *Tokeniser) Cache() (*Cache, federation.Key, error) {
	key, err := t.key()
	if err != nil {
		return nil, key, err
	}
	cache, err := t.open(key.Epoch)
	return cache, key, err
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

// Trouble is why tokenising does not go on; nil when it does.
func (t *Tokeniser) Trouble() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trouble
}

// takeTurn waits for the turn. Whoever makes tokens gives it away between two
// batches.
func (t *Tokeniser) takeTurn(ctx context.Context) error {
	t.wanted.Add(1)
	defer t.wanted.Add(-1)
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Tokeniser) leaveTurn() { <-t.turn }

// Complete makes every missing token. It returns when none is missing, or with
// what is in the way.
func (t *Tokeniser) Complete(ctx context.Context) error {
	if err := t.takeTurn(ctx); err != nil {
		return err
	}
	defer t.leaveTurn()
	epoch, err := t.complete(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.finished = epoch
	}
	if t.trouble = err; errors.Is(err, ErrNoKey) {
		return nil
	}
	return err
}

// complete makes what is missing under the newest key, and returns its epoch.
func (t *Tokeniser) complete(ctx context.Context) (protocol.Epoch, error) {
	cache, key, err := t.Cache()
	if err != nil {
		return 0, err
	}
	if err := t.finishPending(ctx, cache, key.Epoch); err != nil {
		return 0, err
	}
	now, err := t.look(ctx, key.Epoch)
	if err == nil && now != t.scanned {
		err = t.completeAll(ctx, cache, key)
	}
	if err != nil {
		return 0, err
	}
	t.scanned = now
	return key.Epoch, nil
}

// stamp tells one state of the warehouse from another, as far as it matters
// for who needs a token.
type stamp struct {
	epoch                             protocol.Epoch
	people, consented, imports, taken int64
	last                              time.Time
}

// look stamps the warehouse: reading through everybody takes long, and most of
// the time nothing has changed.
func (t *Tokeniser) look(ctx context.Context, epoch protocol.Epoch) (stamp, error) {
	s, err := t.cfg.Warehouse.Summary(ctx)
	return stamp{
		epoch: epoch, people: s.People, consented: s.Consented[protocol.PurposePooling],
		imports: s.Imports, taken: t.taken, last: s.LastImport.UTC(),
	}, err
}

// finishPending goes on with the batches that an earlier attempt, or an earlier
// process, left, in order of their tickets.
func (t *Tokeniser) finishPending(ctx context.Context, cache *Cache, epoch protocol.Epoch) error {
	waiting, err := cache.pending()
	if err == nil {
		err = t.noticeSetback(ctx, cache, epoch, waiting)
	}
	if err != nil {
		return err
	}
	for _, sequence := range waiting {
		b, err := cache.readPending(sequence)
		if err != nil {
			return err
		}
		all, err := cache.hasAll(b)
		if err == nil && !all {
			err = t.finish(ctx, cache, b, epoch)
		}
		if err == nil {
			err = cache.dropPending(b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish takes a batch that is on disk to its tokens.
func (t *Tokeniser) finish(ctx context.Context, cache *Cache, b *batch, epoch protocol.Epoch) error {
	if err := t.commit(ctx, cache, b, epoch); err != nil {
		return err
	}
	tokens, err := t.tokenise(ctx, b, epoch)
	if err != nil {
		return err
	}
	return cache.Put(b.sequence, b.ids, tokens)
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

// begin puts a new batch on disk and posts its ticket.
func (t *Tokeniser) begin(ctx context.Context, cache *Cache, b *batch, epoch protocol.Epoch) error {
	b.sequence = t.lastTicket(epoch) + 1
	if err := cache.keepPending(b); err != nil {
		return err
	}
	return t.commit(ctx, cache, b, epoch)
}

// commit debits the member's allowance for a batch that is on disk, once. One
// batch at a time is without its ticket, so that is the next one of the log. A
// ticket that an ended process sent, and that is still on its way, has the
// number and the content of this one: the log takes one of the two.
func (t *Tokeniser) commit(ctx context.Context, cache *Cache, b *batch, epoch protocol.Epoch) error {
	if t.committed(b, epoch) {
		return nil
	}
	if err := cache.renumber(b, t.lastTicket(epoch)+1); err != nil {
		return err
	}
	if err := author.Post(ctx, t.cfg.Author, b.ticket(epoch)); err != nil {
		return err
	}
	// The log itself says so, or the stewards will not answer.
	if !t.committed(b, epoch) {
		return author.ErrUnseen
	}
	return nil
}

// committed reports whether the log has a batch's ticket.
func (t *Tokeniser) committed(b *batch, epoch protocol.Epoch) (found bool) {
	_ = t.cfg.Author.Witness.View(func(tx federation.Tx) error { // the function never fails
		ticket, ok := federation.FindTicket(tx, t.cfg.Author.Member, epoch, b.sequence)
		found = ok && ticket == b.ticket(epoch)
		return nil
	})
	return found
}

// lastTicket is the number of the member's last one; 0 for none.
func (t *Tokeniser) lastTicket(epoch protocol.Epoch) (sequence int64) {
	_ = t.cfg.Author.Witness.View(func(tx federation.Tx) error { // the function never fails
		sequence = federation.TicketsOf(tx, t.cfg.Author.Member, epoch).Sequence
		return nil
	})
	return sequence
}

// tokenise has a batch evaluated. A steward that answers wrongly or not at all
// is replaced; the ticket stays the same, so nothing is debited twice. Who the
// stewards are is read each time: the key may be handed on meanwhile.
func (t *Tokeniser) tokenise(ctx context.Context, b *batch, epoch protocol.Epoch) ([]oprf.Token, error) {
	for {
		key, err := t.keyOf(epoch)
		if err != nil {
			return nil, err
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
