// Package steward is a node's part as a key steward, once its organisation is
// elected: it takes part in key ceremonies and evaluates the batches of
// committed tickets (protocol.md section 3). It acts on what the node's own
// witness verified, never on a request's word.
package steward

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// Config is what a steward works with.
type Config struct {
	Dir      string // belongs to this package
	Identity *seal.Identity
	Author   *author.Author
	Logger   *slog.Logger
}

// Steward is a node in the role. A node that is not elected never acts.
type Steward struct {
	cfg Config
	now func() time.Time

	// complained is when Step last complained of somebody's silence.
	complained time.Time

	// mu guards shares, each read from its file when first needed.
	mu     sync.Mutex
	shares map[protocol.Attempt]*held
}

// held is one of this steward's shares with the key that it belongs to.
type held struct {
	share oprf.Share
	key   *oprf.PublicKey
}

// New returns a steward. The folder is made when something is put in it.
func New(cfg Config) *Steward {
	return &Steward{cfg: cfg, now: time.Now, shares: map[protocol.Attempt]*held{}}
}

func (s *Steward) self() protocol.MemberID { return s.cfg.Author.Member }

const maxSecret = 16 << 10

func (s *Steward) seal(name string, secret []byte) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	return seal.WriteFile(filepath.Join(s.cfg.Dir, name), []seal.Recipient{s.cfg.Identity.Recipient()}, secret)
}

func (s *Steward) unseal(name string) ([]byte, error) {
	return seal.ReadFile(filepath.Join(s.cfg.Dir, name), s.cfg.Identity, maxSecret)
}

// Step does the steward's next duty in the ceremony under way, if there is
// one, and deletes what is not needed any more. It is called whenever the log
// has grown, again after an error, and now and then: silence adds nothing to
// the log. One goroutine calls it.
func (s *Steward) Step(ctx context.Context) error {
	var c federation.Ceremony
	var needed []protocol.Attempt
	var step func(context.Context, federation.Ceremony) error
	err := s.cfg.Author.Witness.View(func(tx federation.Tx) error {
		var ok bool
		if c, ok = federation.CurrentCeremony(tx); ok {
			step = s.next(tx, c)
			needed = s.needed(tx, c)
		}
		return nil
	})
	if err != nil || c.Attempt.Number == 0 {
		return err
	}
	if err := s.forget(c, needed); err != nil {
		return fmt.Errorf("delete what is left of a key ceremony: %w", err)
	}
	if step == nil {
		return nil
	}
	if err := step(ctx, c); err != nil {
		return fmt.Errorf("key ceremony: %w", err)
	}
	return nil
}

// next decides what this node owes the ceremony now; nil for nothing.
func (s *Steward) next(tx federation.Tx, c federation.Ceremony) func(context.Context, federation.Ceremony) error {
	if c.Done || c.Failed {
		return nil
	}
	_, receives := holder(c.Receivers, s.self())
	_, deals := holder(c.Dealers, s.self())
	_, greeted := federation.FindHello(tx, c.Attempt, s.self())
	_, dealt := federation.FindDeal(tx, c.Attempt, s.self())
	switch {
	case receives && !greeted:
		return s.hello
	case deals && !dealt && c.Hellos == len(c.Receivers):
		return s.deal
	case receives && c.Deals == len(c.Dealers) && !federation.HasReady(tx, c.Attempt, s.self()):
		return s.receive
	}
	if !receives {
		return nil // only receivers are heard
	}
	if against, ok := s.silent(tx, c); ok {
		return func(ctx context.Context, c federation.Ceremony) error { return s.complain(ctx, c, against) }
	}
	return nil
}

func holder(holders []federation.Holder, id protocol.MemberID) (federation.Holder, bool) {
	for _, h := range holders {
		if h.Member == id {
			return h, true
		}
	}
	return federation.Holder{}, false
}

// hello posts a fresh envelope key. The key is on disk before it is posted, so
// that a crash in between loses nothing.
func (s *Steward) hello(ctx context.Context, c federation.Ceremony) error {
	envelope, err := s.ceremonyKey(c.Attempt)
	if errors.Is(err, fs.ErrNotExist) {
		if envelope, err = seal.NewEnvelopeKey(); err != nil {
			return err
		}
		err = s.seal(attemptName(kindCeremony, c.Attempt), envelope.Marshal())
	}
	if err != nil {
		return err
	}
	return author.Post(ctx, s.cfg.Author, protocol.Hello{Attempt: c.Attempt, Envelope: envelope.Public()})
}

func (s *Steward) ceremonyKey(a protocol.Attempt) (*seal.EnvelopeKey, error) {
	secret, err := s.unseal(attemptName(kindCeremony, a))
	if err != nil {
		return nil, err
	}
	return seal.ParseEnvelopeKey(secret)
}

// deal draws a polynomial and posts it with the sealed subshares. Nothing of
// it needs to be kept: if the answer is lost, the log knows whether it was
// taken, and if not, another polynomial is as good.
func (s *Steward) deal(ctx context.Context, c federation.Ceremony) error {
	terms, hellos, err := s.ceremony(c)
	if err != nil {
		return err
	}
	dealing, subshares, err := s.draw(c, terms)
	if err != nil {
		return err
	}
	encoded, err := dealing.MarshalBinary()
	if err != nil {
		return err
	}
	doc := protocol.Deal{Attempt: c.Attempt, Dealing: encoded}
	for i, to := range c.Receivers { // ascending, as in the roll
		secret, err := subshares[i].MarshalBinary()
		if err != nil {
			return err
		}
		sealed, err := seal.Seal(hellos[to.Member].Envelope, s.context(c.Attempt, s.self(), to.Member), secret)
		if err != nil {
			return err
		}
		doc.Shares = append(doc.Shares, protocol.SealedShare{To: to.Member, Sealed: sealed})
	}
	return author.Post(ctx, s.cfg.Author, doc)
}

func (s *Steward) draw(c federation.Ceremony, terms oprf.Ceremony) (*oprf.Dealing, []oprf.Subshare, error) {
	if c.Old != nil {
		old, err := s.load(*c.Old)
		if err != nil {
			return nil, nil, err
		}
		return terms.Reshare(old.share)
	}
	me, _ := holder(c.Dealers, s.self())
	return terms.Deal(oprf.Index(me.Index))
}

// context binds a sealed subshare to its attempt, dealer and receiver.
func (s *Steward) context(a protocol.Attempt, from, to protocol.MemberID) seal.Context {
	return seal.Context{
		Label: "subshare", Genesis: s.cfg.Author.Federation, Sender: string(from), Receiver: string(to),
		Subject: fmt.Appendf(nil, "%d/%d/%d", a.Epoch, a.Roll, a.Number),
	}
}

// ceremony reads the terms and every receiver's greeting.
func (s *Steward) ceremony(c federation.Ceremony) (oprf.Ceremony, map[protocol.MemberID]protocol.Hello, error) {
	var terms oprf.Ceremony
	hellos := map[protocol.MemberID]protocol.Hello{}
	err := s.cfg.Author.Witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		for _, r := range c.Receivers {
			if hello, ok := federation.FindHello(tx, c.Attempt, r.Member); ok {
				hellos[r.Member] = hello
			}
		}
		terms, err = c.Terms(view.Charter.Namespace)
		return err
	})
	return terms, hellos, err
}

// receive opens and checks the subshares, keeps the share, and states the
// public key; or complains about the dealer whose subshare is wrong.
func (s *Steward) receive(ctx context.Context, c federation.Ceremony) error {
	terms, dealings, deals, err := s.dealings(c)
	if err != nil {
		return err
	}
	envelope, err := s.greeted(c.Attempt)
	if err != nil {
		return err
	}
	me, _ := holder(c.Receivers, s.self())
	var subshares []oprf.Subshare
	for i, dealer := range c.Dealers {
		sub, err := s.open(c.Attempt, envelope, dealer.Member, deals[i])
		if err != nil || terms.VerifySubshare(dealings[i], sub) != nil || sub.Receiver() != oprf.Index(me.Index) {
			s.cfg.Logger.WarnContext(ctx, "a steward dealt a wrong share", "against", string(dealer.Member))
			return author.Post(ctx, s.cfg.Author, protocol.Complaint{Attempt: c.Attempt, Against: dealer.Member})
		}
		subshares = append(subshares, sub)
	}
	share, key, err := terms.Aggregate(oprf.Index(me.Index), dealings, subshares)
	if err != nil {
		return err
	}
	secret, err := share.MarshalBinary()
	if err != nil {
		return err
	}
	public, err := key.MarshalBinary()
	if err != nil {
		return err
	}
	if err := s.seal(attemptName(kindShare, c.Attempt), secret); err != nil {
		return err
	}
	return author.Post(ctx, s.cfg.Author, protocol.Ready{Attempt: c.Attempt, PublicKey: public})
}

// errEnvelope: whoever dealt is not to blame for what this node cannot open.
var errEnvelope = errors.New("the envelope key under which this node greeted is not in its folder any more; another attempt is needed")

// greeted is the envelope key that this node posted.
func (s *Steward) greeted(a protocol.Attempt) (*seal.EnvelopeKey, error) {
	envelope, err := s.ceremonyKey(a)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errEnvelope
	}
	if err != nil {
		return nil, err
	}
	err = s.cfg.Author.Witness.View(func(tx federation.Tx) error {
		if hello, ok := federation.FindHello(tx, a, s.self()); !ok || hello.Envelope != envelope.Public() {
			return errEnvelope
		}
		return nil
	})
	return envelope, err
}

func (s *Steward) dealings(c federation.Ceremony) (terms oprf.Ceremony, dealings []*oprf.Dealing, deals []protocol.Deal, err error) {
	if terms, _, err = s.ceremony(c); err != nil {
		return terms, nil, nil, err
	}
	err = s.cfg.Author.Witness.View(func(tx federation.Tx) error {
		for _, dealer := range c.Dealers {
			deal, _ := federation.FindDeal(tx, c.Attempt, dealer.Member)
			deals = append(deals, deal)
		}
		var err error
		dealings, err = c.Dealings(tx)
		return err
	})
	return terms, dealings, deals, err
}

func (s *Steward) open(a protocol.Attempt, envelope *seal.EnvelopeKey, from protocol.MemberID, deal protocol.Deal) (oprf.Subshare, error) {
	for _, sealed := range deal.Shares {
		if sealed.To != s.self() {
			continue
		}
		secret, err := seal.Open(envelope, s.context(a, from, s.self()), sealed.Sealed)
		if err != nil {
			return oprf.Subshare{}, err
		}
		return oprf.ParseSubshare(secret)
	}
	return oprf.Subshare{}, errors.New("the deal holds no share for this receiver")
}
