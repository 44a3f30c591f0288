// Package rounds is a node's part in the rounds of the federation: it answers
// manifests, deals and confirms round keys, makes and sends its uploads, and
// collects its labels (protocol.md sections 4 and 4a).
//
// Each step is read off the log that the node's witness verified, so a node
// that was stopped in the middle goes on where it was.
package rounds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/match"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// Matcher is the coordinator's leader as a participant needs it;
// coordclient.Client is one.
type Matcher interface {
	// Reign names the leader's present term. A new one has none of the uploads
	// that its predecessor had.
	Reign(ctx context.Context) (string, error)
	// Upload goes on from where an earlier call for the same bytes broke off.
	Upload(ctx context.Context, round protocol.RoundID, source protocol.SourceName, upload io.ReadSeeker) error
	Collect(ctx context.Context, round protocol.RoundID, source protocol.SourceName, w io.Writer) error
}

// Config is what the rounds work with.
type Config struct {
	Dir       string // belongs to this package
	Identity  *seal.Identity
	Author    *author.Author
	Warehouse *warehouse.Warehouse
	Tokeniser *tokens.Tokeniser
	Matcher   Matcher
	// Own returns the member's own policies, which only forbid more.
	Own func() (policies.Own, error)
	// Send seals a letter to a member and gives it to the relay, which may
	// lose it.
	Send   func(ctx context.Context, to protocol.MemberID, letter *wire.Letter) error
	Logger *slog.Logger
}

// Rounds takes part. Its methods may be called at once.
type Rounds struct {
	cfg Config

	// making holds one place, taken while an upload is made: each takes a good
	// part of the memory that a small member has.
	making chan struct{}

	// labelling is held while a file of labels is read and written anew.
	labelling sync.Mutex

	// mu guards what follows.
	mu   sync.Mutex
	work map[protocol.RoundID]*work // what this process did for each round
	idle *sync.Cond                 // one of them is not busy any more
}

// work is what a process remembers of a round. All of it can be lost.
type work struct {
	busy  bool                            // a goroutine is at work on it
	again bool                            // it was to be looked at meanwhile
	stop  context.CancelFunc              // ends what it does
	sent  map[protocol.SourceName]string  // under which reign an upload was stored
	dealt map[protocol.MemberID]time.Time // when the round key was last sent
	stage federation.Stage                // at which the last step failed
	pause time.Duration                   // until the next attempt
	after time.Time
}

// Pauses between attempts at a step that fails.
const (
	firstPause = time.Second
	lastPause  = 10 * time.Second
)

// dealAgain is how long a participant has to confirm a round key before it is
// sent again.
const dealAgain = 3 * time.Second

// New prepares the folder: what an earlier process was writing is dropped.
func New(cfg Config) (*Rounds, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("prepare the rounds' folder: %w", err)
	}
	spills, err := filepath.Glob(filepath.Join(cfg.Dir, "*.spill"))
	if err != nil {
		return nil, err
	}
	for _, spill := range spills {
		if err := os.Remove(spill); err != nil {
			return nil, fmt.Errorf("prepare the rounds' folder: %w", err)
		}
	}
	r := &Rounds{cfg: cfg, making: make(chan struct{}, 1), work: map[protocol.RoundID]*work{}}
	r.idle = sync.NewCond(&r.mu)
	return r, nil
}

func (r *Rounds) self() protocol.MemberID { return r.cfg.Author.Member }

// Step looks at every round that is under way, or of which something is left
// here, and does what this member owes it, each round in a goroutine of its
// own. It returns at once.
func (r *Rounds) Step(ctx context.Context) error {
	kept, err := r.kept()
	if err != nil {
		return err
	}
	var due []federation.Round
	err = r.cfg.Author.Witness.View(func(tx federation.Tx) error {
		due = federation.RunningRounds(tx)
		for _, id := range kept {
			if round, err := federation.FindRound(tx, id); err == nil && round.Stage.Ended() {
				due = append(due, round)
			} // else it is among the others, or this log does not know it yet
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.prune(due)
	for _, round := range due {
		m := round.Content()
		if !takesPart(m, r.self()) {
			continue
		}
		own, ok := r.begin(ctx, round)
		if !ok {
			continue
		}
		go func() {
			err := r.advance(own, round, m)
			if err != nil && own.Err() == nil {
				r.cfg.Logger.Log(own, r.levelOf(round, err), "a step of a round will be tried again", "round", string(round.ID), "stage", string(round.Stage), "reason", err)
			}
			if again := r.finish(round, err); again && ctx.Err() == nil {
				_ = r.Step(ctx) // reads the folder and the log; if it fails the node steps again
			}
		}()
	}
	return nil
}

// levelOf keeps quiet about a first refusal at a stage: mostly the round has
// moved on, and this node is about to read so. If it has not, the next one is
// told.
func (r *Rounds) levelOf(round federation.Round, err error) slog.Level {
	r.mu.Lock()
	defer r.mu.Unlock()
	refused := errors.Is(err, federation.ErrRefused) || errors.Is(err, federation.ErrAlready)
	if refused && r.work[round.ID].stage != round.Stage {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// prune forgets what was done for rounds that are over.
func (r *Rounds) prune(due []federation.Round) {
	live := map[protocol.RoundID]bool{}
	for _, round := range due {
		live[round.ID] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, w := range r.work {
		if !live[id] && !w.busy {
			delete(r.work, id)
		}
	}
}

// kept lists the rounds of which something is in the folder.
func (r *Rounds) kept() ([]protocol.RoundID, error) {
	entries, err := os.ReadDir(r.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("look for rounds: %w", err)
	}
	var ids []protocol.RoundID
	for _, entry := range entries {
		if id := protocol.RoundID(entry.Name()); entry.IsDir() && id.Check() == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Wait returns when no goroutine is at work any more. Their ctx has ended.
func (r *Rounds) Wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.anyBusy() {
		r.idle.Wait()
	}
}

func (r *Rounds) anyBusy() bool {
	for _, w := range r.work {
		if w.busy {
			return true
		}
	}
	return false
}

// begin gives a round to the caller, unless somebody is at work on it or it
// failed a moment ago. One at a time: nothing of a round is deleted while it
// is written. Nothing more is done for a round that has ended.
func (r *Rounds) begin(ctx context.Context, round federation.Round) (context.Context, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.work[round.ID]
	if !ok {
		w = &work{sent: map[protocol.SourceName]string{}, dealt: map[protocol.MemberID]time.Time{}}
		r.work[round.ID] = w
	}
	if w.busy && round.Stage.Ended() {
		w.stop()
	}
	w.again = w.busy
	if w.busy || ctx.Err() != nil || w.stage == round.Stage && time.Now().Before(w.after) {
		return nil, false
	}
	w.busy = true
	ctx, w.stop = context.WithCancel(ctx)
	return ctx, true
}

// finish gives it back, and tells whether somebody asked for it meanwhile: the
// round may have moved on, and the log may not grow until this node goes along.
func (r *Rounds) finish(round federation.Round, err error) (again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.idle.Broadcast()
	w := r.work[round.ID]
	w.busy = false
	w.stop()
	switch {
	case err != nil && w.stage == round.Stage:
		w.pause = min(2*w.pause, lastPause)
	case err != nil:
		w.stage, w.pause = round.Stage, firstPause
	default:
		w.stage = ""
	}
	w.after = time.Now().Add(w.pause)
	return w.again
}

func takesPart(m protocol.Manifest, id protocol.MemberID) bool {
	for _, s := range m.Sources {
		if s.Member == id {
			return true
		}
	}
	return false
}

// advance does what this member owes a round at its stage.
func (r *Rounds) advance(ctx context.Context, round federation.Round, m protocol.Manifest) error {
	switch round.Stage {
	case federation.Proposed:
		return r.acknowledge(ctx, round, m)
	case federation.Reserved:
		return r.confirm(ctx, round, m)
	case federation.Keyed, federation.Opened:
		return r.upload(ctx, round, m)
	case federation.Published:
		err := r.collect(ctx, round, m)
		if errors.Is(err, refusal.ErrNotReady) {
			err = nil // a new matcher waits for everybody's upload first
		}
		return errors.Join(err, r.upload(ctx, round, m))
	case federation.Closed, federation.Refused, federation.Aborted:
		return r.clear(round.ID)
	}
	return nil
}

// acknowledge accepts a manifest that the voted policies and the member's own
// allow, and refuses any other for a reason in words.
func (r *Rounds) acknowledge(ctx context.Context, round federation.Round, m protocol.Manifest) error {
	var answered bool
	err := r.cfg.Author.Witness.View(func(tx federation.Tx) error {
		answered = federation.Acknowledged(tx, round.ID, r.self())
		return nil
	})
	if err != nil || answered {
		return err
	}
	decision, err := r.Decide(round.Hash, m, protocol.MemberID(round.Manifest.By), round.At)
	if err != nil {
		return err
	}
	ack := protocol.Ack{RoundRef: round.Ref()}
	if !decision.Allowed {
		words := decision.Refusal()
		ack.Refusal = &words
	}
	return author.Post(ctx, r.cfg.Author, ack)
}

// confirm sees to it that the initiator deals the round key, and that this
// participant confirms the one it holds.
func (r *Rounds) confirm(ctx context.Context, round federation.Round, m protocol.Manifest) error {
	initiator := protocol.MemberID(round.Manifest.By) == r.self()
	key, err := r.roundKey(round.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !initiator:
		return nil // it is on its way
	case errors.Is(err, fs.ErrNotExist):
		key = match.NewRoundKey()
		err = r.keep(round.ID, fileKey, key.Bytes())
	}
	if err != nil {
		return err
	}
	missing, confirmed := r.unconfirmed(round, m)
	if initiator {
		for _, id := range missing {
			if err := r.deal(ctx, round, id, key); err != nil {
				return err
			}
		}
	}
	if confirmed {
		return nil
	}
	mac := match.Derive(key, round.Hash).Confirm()
	return author.Post(ctx, r.cfg.Author, protocol.KeyConfirm{RoundRef: round.Ref(), MAC: mac})
}

// unconfirmed are the other participants that have not confirmed yet, and
// whether this one has.
func (r *Rounds) unconfirmed(round federation.Round, m protocol.Manifest) (missing []protocol.MemberID, self bool) {
	_ = r.cfg.Author.Witness.View(func(tx federation.Tx) error { // the function never fails
		for _, id := range m.Participants() {
			switch {
			case id == r.self():
				self = federation.Confirmed(tx, round.ID, id)
			case !federation.Confirmed(tx, round.ID, id):
				missing = append(missing, id)
			}
		}
		return nil
	})
	return missing, self
}

func (r *Rounds) deal(ctx context.Context, round federation.Round, to protocol.MemberID, key match.RoundKey) error {
	r.mu.Lock()
	dealt := r.work[round.ID].dealt
	recent := time.Since(dealt[to]) < dealAgain
	if !recent {
		dealt[to] = time.Now()
	}
	r.mu.Unlock()
	if recent {
		return nil
	}
	return r.cfg.Send(ctx, to, &wire.Letter{Content: &wire.Letter_RoundKey{RoundKey: &wire.RoundKeyDeal{
		Round: string(round.ID), Manifest: round.Hash[:], Key: key.Bytes(),
	}}})
}

var errKeyDeal = errors.New("a round key came from somebody who does not deal it, for another manifest, or too late")

// DeliverKey takes a round key that its initiator dealt. The first one counts:
// a second could only make this participant disagree with the others.
func (r *Rounds) DeliverKey(ctx context.Context, from protocol.MemberID, deal *wire.RoundKeyDeal) error {
	id := protocol.RoundID(deal.GetRound())
	if err := id.Check(); err != nil {
		return errKeyDeal
	}
	var round federation.Round
	err := r.cfg.Author.Witness.View(func(tx federation.Tx) error {
		var err error
		round, err = federation.FindRound(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	// The key may come before this node has read the reservation.
	early := round.Stage == federation.Proposed || round.Stage == federation.Accepted || round.Stage == federation.Reserved
	if protocol.MemberID(round.Manifest.By) != from || string(round.Hash[:]) != string(deal.GetManifest()) ||
		!early || !takesPart(round.Content(), r.self()) {
		return errKeyDeal
	}
	key, err := match.ParseRoundKey(deal.GetKey())
	if err != nil {
		return err
	}
	if _, err := r.roundKey(id); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.keep(id, fileKey, key.Bytes()); err != nil {
		return err
	}
	return r.Step(ctx)
}
