// Package duties is what the leading replica does without being asked: it
// closes votes that are due, retires keys, reserves the budget of accepted
// rounds, runs the matcher when every upload is there, publishes what came out, ends rounds
// that are late, and deletes what a round leaves behind.
//
// Everything it does is a signed document in the log, so the next leader goes
// on from where the last one stopped, and members see each step.
package duties

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"coulisse/coordinator/matcher"
	"coulisse/coordinator/sequencer"
	"coulisse/crypto/dp"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/match"
	"coulisse/protocol/refusal"
)

// Config is what the duties need.
type Config struct {
	Log      *sequencer.Sequencer
	Matcher  *matcher.Matcher
	Founding protocol.Founding
	Logger   *slog.Logger
	Now      func() time.Time
}

// Duties are one leader's.
type Duties struct {
	Config
	// matched receives when a match has ended.
	matched chan struct{}
	// matches are under way beside the passes: one may take a minute, and votes
	// do not wait for it. The matcher's memory says how many run at once.
	matches sync.WaitGroup
	// looked is how long the last look at the state took, and began when.
	began  time.Time
	looked time.Duration

	// mu guards the rounds that are being matched, and those whose labels this
	// leader has made.
	mu                 sync.Mutex
	matching, labelled map[protocol.RoundID]bool
}

// New returns duties that do nothing until Run.
func New(c Config) *Duties {
	return &Duties{Config: c, matched: make(chan struct{}, 1)}
}

const (
	// tick is how often time alone can make something due.
	tick = time.Second
	// Looks begin restTimes as far apart as one takes, and rest at least, so that
	// the entries of a burst are looked at together; but no further than tick. The
	// first entry after a quiet time does not wait.
	rest      = 10 * time.Millisecond
	restTimes = 10
)

// Run does the duties until ctx ends, which it does when the replica no
// longer leads. It leaves no upload behind: the next leader gets them again.
func (d *Duties) Run(ctx context.Context) {
	d.matching, d.labelled = map[protocol.RoundID]bool{}, map[protocol.RoundID]bool{}
	defer d.leave(ctx)
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for ctx.Err() == nil {
		grown := d.Log.Grown()
		if err := d.pass(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, refusal.ErrNotLeader) {
			d.Logger.WarnContext(ctx, "a duty of the leader was put off", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-grown:
			pause(ctx, time.Until(d.began.Add(max(rest, min(restTimes*d.looked, tick)))))
		case <-d.Matcher.Arrived():
		case <-d.matched:
		case <-timer.C:
		}
	}
}

func pause(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}

// leave waits for the matches under way, whose context has ended, and deletes
// every upload.
func (d *Duties) leave(ctx context.Context) {
	d.matches.Wait()
	if err := d.Matcher.Sweep(); err != nil {
		d.Logger.WarnContext(ctx, "uploads of the last leadership were not deleted, but nobody can read them", "error", err)
	}
}

// todo is what a pass found in the state: plain values, so that no
// transaction is open while it is done.
type todo struct {
	found bool
	due   []protocol.Close
	// retired is the key epoch whose time has come; 0 for none.
	retired protocol.Epoch
	rounds  []federation.Round // under way
	ledger  federation.Ledger
}

func (d *Duties) pass(ctx context.Context) error {
	var t todo
	d.began = time.Now()
	err := d.Log.View(func(tx federation.Tx) error {
		looking := time.Now() // not while it waited for the state
		defer func() { d.looked = time.Since(looking) }()
		return d.survey(tx, &t)
	})
	if err != nil {
		return err
	}
	if !t.found {
		return d.Log.Found(ctx, d.Founding)
	}
	var failures []error
	if len(t.due) > 0 { // all of an agenda, as a rule
		for _, err := range sequencer.PostAll(ctx, d.Log, t.due...) {
			failures = append(failures, forgive(err))
		}
	}
	if t.retired != 0 {
		failures = append(failures, forgive(sequencer.Post(ctx, d.Log, protocol.Retirement{Epoch: t.retired})))
	}
	for _, r := range t.rounds {
		if err := d.advance(ctx, r, &t); err != nil {
			failures = append(failures, fmt.Errorf("round %s: %w", r.ID, err))
		}
	}
	// Last, since nobody waits for it. No round that has begun meanwhile has
	// uploads yet: its budget is reserved by a later pass.
	failures = append(failures, d.sweep(t.rounds))
	return errors.Join(failures...)
}

func (d *Duties) survey(tx federation.Tx, t *todo) error {
	if t.found = federation.Size(tx) > 0; !t.found {
		return nil
	}
	var err error
	if t.ledger, err = federation.ReadLedger(tx); err != nil {
		return err
	}
	t.rounds = federation.RunningRounds(tx)
	now := max(protocol.At(d.Now()), federation.Time(tx))
	if epoch, due, err := federation.DueRetirement(tx, now); err != nil {
		return err
	} else if due {
		t.retired = epoch
	}
	due, err := federation.DueProposals(tx, now)
	for _, id := range due {
		if federation.MayClose(tx, id, d.Log.Replica(), now) {
			t.due = append(t.due, protocol.Close{Proposal: id})
		}
	}
	return err
}

// sweep deletes the uploads of every round that has ended.
func (d *Duties) sweep(rounds []federation.Round) error {
	live := make([]protocol.RoundID, len(rounds))
	for i, r := range rounds {
		live[i] = r.ID
	}
	return d.Matcher.Sweep(live...)
}

// forgive passes over what another leader has done meanwhile.
func forgive(err error) error {
	if errors.Is(err, federation.ErrAlready) {
		return nil
	}
	return err
}

// advance does the coordinator's next step of a round, if it is its turn.
func (d *Duties) advance(ctx context.Context, r federation.Round, t *todo) error {
	m := r.Content()
	if protocol.At(d.Now()) > m.Deadline {
		return forgive(sequencer.Post(ctx, d.Log, protocol.Lapse{RoundRef: r.Ref(), Reason: late}))
	}
	switch r.Stage {
	case federation.Accepted:
		return d.reserve(ctx, r, &t.ledger)
	case federation.Keyed, federation.Opened, federation.Published:
		return d.gather(ctx, r, m)
	}
	return nil
}

// The reasons that a replica gives for ending a round.
var (
	late = protocol.Text{
		FR: "L'échéance de la ronde est passée avant que tous les participants aient répondu. Proposez-la de nouveau.",
		EN: "The round's deadline passed before every participant had answered. Propose it again.",
	}
	broke = protocol.Text{
		FR: "Le budget de confidentialité qui reste ne couvre pas le coût de cette ronde. Demandez moins de précision, ou un vote qui accorde un nouveau budget.",
		EN: "What is left of the privacy budget does not cover this round. Ask for less precision, or for a vote that grants more budget.",
	}
)

func (d *Duties) reserve(ctx context.Context, r federation.Round, ledger *federation.Ledger) error {
	if r.Cost > ledger.Left() {
		return forgive(sequencer.Post(ctx, d.Log, protocol.Lapse{RoundRef: r.Ref(), Reason: broke}))
	}
	ledger.Reserved += r.Cost
	return forgive(sequencer.Post(ctx, d.Log, protocol.Reserve{RoundRef: r.Ref(), Cost: r.Cost, Left: ledger.Left()}))
}

// gather acts once every upload is there.
func (d *Duties) gather(ctx context.Context, r federation.Round, m protocol.Manifest) error {
	if r.Uploads < len(m.Sources) || !d.Matcher.Complete(r.ID, m) {
		return nil
	}
	if r.Stage == federation.Keyed {
		return forgive(sequencer.Post(ctx, d.Log, protocol.Opening{RoundRef: r.Ref()}))
	}
	if !d.beginMatch(r.ID) {
		return nil
	}
	d.matches.Go(func() {
		labelled := d.match(ctx, r, m)
		d.mu.Lock()
		delete(d.matching, r.ID)
		d.labelled[r.ID] = labelled
		d.mu.Unlock()
		select {
		case d.matched <- struct{}{}:
		default:
		}
	})
	return nil
}

// beginMatch reports whether a round is to be matched now.
func (d *Duties) beginMatch(id protocol.RoundID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.matching[id] || d.labelled[id] {
		return false
	}
	d.matching[id] = true
	return true
}

// match runs the matcher on an opened round and publishes what came out. On a
// published one it only makes the labels again: they went with another leader.
func (d *Duties) match(ctx context.Context, r federation.Round, m protocol.Manifest) (labelled bool) {
	outcome, err := d.Matcher.Run(ctx, r.ID, m)
	if errors.Is(err, seal.ErrDamaged) {
		// The nodes still have their uploads, and send them again.
		err = errors.Join(err, d.Matcher.Close(r.ID))
	}
	if err == nil && r.Stage == federation.Opened {
		err = d.publish(ctx, r, m, outcome)
	}
	if err != nil {
		if ctx.Err() == nil {
			d.Logger.WarnContext(ctx, "a match was put off", "round", r.ID, "error", err)
			pause(ctx, tick)
		}
		return false
	}
	return true
}

// publish proposes the noised figures. Noise is drawn here; a leader that dies
// before the result is committed takes its noise with it unseen.
func (d *Duties) publish(ctx context.Context, r federation.Round, m protocol.Manifest, outcome match.Outcome) error {
	var floor dp.Floor
	err := d.Log.View(func(tx federation.Tx) (err error) {
		floor, err = federation.MinSize(tx, r)
		return err
	})
	if err != nil {
		return err
	}
	result, err := noised(r.Ref(), m, floor, outcome)
	if err != nil {
		return err
	}
	return forgive(sequencer.Post(ctx, d.Log, result))
}
