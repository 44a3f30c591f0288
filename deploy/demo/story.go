package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"coulisse/deploy/demo/houses"
	"coulisse/deploy/demo/houses/oracle"
	"coulisse/protocol"

	"golang.org/x/sync/errgroup"
)

// story is the demonstration being told.
type story struct {
	f       *Federation
	screen  *screen
	version string
	between func(step string, f *Federation) error

	truth   *oracle.Truth
	outcome Outcome
	// lastProposal is the last that was decided.
	lastProposal string
	deeds        []deed
	// count says what the act under way has handled, for the last table.
	count string
	// began is when the step under way began.
	began time.Time
}

// act is a chapter with a paragraph over it.
type act struct {
	title protocol.Text
	tale  protocol.Text
	steps []step
}

// step is what happens between two moments at which a test may interfere.
type step struct {
	name string
	do   func(context.Context) error
}

// deed is what an act took.
type deed struct {
	title protocol.Text
	count string
	took  time.Duration
	bytes int64 // over the loopback interface
}

// acts is the whole story.
func (s *story) acts() []act {
	return []act{
		{foundTitle, foundTale, []step{
			{"found/keys", s.makeKeys}, {"found/charter", s.signCharter},
			{"found/replicas", s.startReplicas}, {"found/nodes", s.enrol},
		}},
		{importTitle, importTale, []step{{"import", s.importExports}}},
		{electTitle, electTale, []step{{"elect/vote", s.elect}, {"elect/ceremony", s.awaitKey}}},
		{tokenTitle, tokenTale, []step{{"tokens", s.awaitTokens}}},
		{policyTitle, policyTale, []step{{"policies", s.adopt}}},
		{poolTitle, poolTale, []step{{"pool/propose", s.preview}, {"pool/run", s.pool}}},
		{checkTitle, checkTale, []step{{"check", s.check}}},
		{refuseTitle, refuseTale, []step{{"refuse/house", s.refuseHouse}, {"refuse/ballot", s.refuseBallot}}},
		{peopleTitle, peopleTale, []step{{"people", s.listPeople}}},
	}
}

func (s *story) tell(ctx context.Context) error {
	var err error
	if s.truth, err = oracle.Read(); err != nil {
		return err
	}
	s.screen.title(s.screen.say(opening, s.version))
	s.screen.paragraph(s.screen.say(introduction))
	for i, a := range s.acts() {
		s.screen.act(i+1, s.screen.say(a.title), s.screen.say(a.tale))
		if err := s.play(ctx, a); err != nil {
			return err
		}
		s.screen.blank()
	}
	if err := s.conclude(ctx); err != nil {
		return err
	}
	return s.interfere(stepEnd)
}

// stepEnd is when everything is told and still runs.
const stepEnd = "end"

// interfere lets a test do what it likes.
func (s *story) interfere(step string) error {
	if s.between == nil {
		return nil
	}
	if err := s.between(step, s.f); err != nil {
		return fmt.Errorf("before %s: %w", step, err)
	}
	return nil
}

func (s *story) play(ctx context.Context, a act) error {
	start, before := time.Now(), loopbackBytes()
	for _, step := range a.steps {
		if err := s.interfere(step.name); err != nil {
			return err
		}
		s.began = time.Now()
		if err := step.do(ctx); err != nil {
			return s.reason(ctx, err)
		}
	}
	s.deeds = append(s.deeds, deed{a.title, s.count, time.Since(start), loopbackBytes() - before})
	s.count = ""
	return nil
}

// reason prefers why the federation ended to what followed from it.
func (s *story) reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// done says what the step has accomplished, and in what time.
func (s *story) done(t protocol.Text, values ...any) {
	s.screen.done(s.screen.say(t, values...) + "\u00a0·\u00a0" + seconds(time.Since(s.began), s.screen.lang))
}

func (s *story) progress(t protocol.Text, values ...any) {
	s.screen.progress(s.screen.say(t, values...))
}

func (s *story) counted(t protocol.Text, values ...any) { s.count = s.screen.say(t, values...) }

// everywhere does something for every member, as many at once as there are
// processors.
func everywhere(ctx context.Context, do func(context.Context, int, houses.House) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, house := range houses.All() {
		group.Go(func() error { return do(ctx, i, house) })
	}
	return group.Wait()
}

// read runs a command that answers in JSON.
func read[T any](ctx context.Context, f *Federation, args ...string) (T, error) {
	var answer T
	out, err := f.Run(ctx, append(args, "--json")...)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return answer, fmt.Errorf("read the answer of %s: %w", f.shell.line(args), err)
	}
	return answer, nil
}

// pause between two looks at what takes its time.
const pause = 100 * time.Millisecond

// await looks until something is so.
func await(ctx context.Context, look func(context.Context) (bool, error)) error {
	for {
		so, err := look(ctx)
		if so || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// The members that have a part of their own in the story.
const (
	initiator protocol.MemberID = "agora-mouvante"
	newspaper protocol.MemberID = "echo-estran"
)

// nameOf is a member's name.
func (s *story) nameOf(id protocol.MemberID) string {
	for _, house := range houses.All() {
		if house.ID == id {
			return house.Name.In(s.screen.lang)
		}
	}
	return string(id)
}
