package rounds_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/node/rounds"
	"coulisse/node/witness/witnesstest"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/wire"
)

func TestARound(t *testing.T) {
	t.Parallel()
	s := play(t)
	for range 2 { // the second has other pseudonyms of the same people
		id := s.propose(nil)
		s.until(id, federation.Closed, nil)
		s.wantLabels(s.houses[0], id, truth(0, 50))
		if _, err := s.houses[1].rounds.Labelled(id); !errors.Is(err, rounds.ErrNoLabels) {
			t.Errorf("who is no recipient has labels: %v", err)
		}
		s.wantClean(id)
	}
	for source, uploads := range s.matcher.received {
		if len(uploads) != 2 || uploads[0] == uploads[1] {
			t.Errorf("%s sent %d uploads in two rounds", source, len(uploads))
		}
		for _, upload := range uploads {
			if strings.Contains(upload, "example.org") {
				t.Error("an identifier was sent")
			}
		}
	}
}

// Every process ends after every step.
func TestEndsAtEveryStage(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	s.until(id, federation.Closed, func() {
		for _, h := range s.houses {
			s.start(h)
		}
	})
	s.wantLabels(s.houses[0], id, truth(0, 50))
	s.wantClean(id)
	for source, uploads := range s.matcher.received {
		for _, upload := range uploads {
			if upload != uploads[0] {
				t.Errorf("%s sent different bytes after it was announced", source)
			}
		}
	}
}

// The matcher dies before the result, and again before the labels are fetched.
func TestTheMatcherDies(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	s.until(id, federation.Opened, nil)
	s.matcher.lose()
	s.until(id, federation.Published, nil)
	s.matcher.lose()
	s.until(id, federation.Closed, nil)
	s.wantLabels(s.houses[0], id, truth(0, 50))
	for source, uploads := range s.matcher.received {
		if len(uploads) != 3 || uploads[0] != uploads[1] || uploads[1] != uploads[2] {
			t.Errorf("%s sent %d uploads to three matchers", source, len(uploads))
		}
	}
	s.wantClean(id)
}

// Who receives labels for two sources has the people of both.
func TestTwoSourcesOfARecipient(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(func(m *protocol.Manifest) {
		theatre := m.Sources[0]
		theatre.Name = "source-theatre"
		theatre.Definition.Disciplines = []string{"theatre"}
		m.Sources = append(m.Sources, theatre)
		for i := range m.Sources[1:3] {
			m.Sources[1+i].Definition.Disciplines = nil
		}
		m.Recipients = append(m.Recipients, theatre.Name)
		m.Rule.AtLeast.Of = append(m.Rule.AtLeast.Of, theatre.Name)
	})
	s.until(id, federation.Closed, nil)
	s.wantLabels(s.houses[0], id, truth(0, 60))
}

// A round key counts once, from the initiator, for its manifest, in time.
func TestRoundKeysThatDoNotCount(t *testing.T) {
	t.Parallel()
	s := play(t)
	s.deaf[s.houses[1].ID] = true
	id := s.propose(nil)
	s.until(id, federation.Reserved, nil)
	s.turn(id)
	receiver, initiator := s.houses[1], s.houses[0].ID
	if len(s.keys) == 0 {
		t.Fatal("no key was dealt")
	}
	honest := s.keys[0]
	with := func(change func(*wire.RoundKeyDeal)) *wire.RoundKeyDeal {
		d := &wire.RoundKeyDeal{Round: honest.Round, Manifest: bytes.Clone(honest.Manifest), Key: bytes.Repeat([]byte{9}, 32)}
		change(d)
		return d
	}
	for name, c := range map[string]struct {
		from protocol.MemberID
		deal *wire.RoundKeyDeal
	}{
		"another participant's":    {s.houses[2].ID, with(func(*wire.RoundKeyDeal) {})},
		"nobody's":                 {"", with(func(*wire.RoundKeyDeal) {})},
		"another manifest's":       {initiator, with(func(d *wire.RoundKeyDeal) { d.Manifest[0] ^= 1 })},
		"no manifest's":            {initiator, with(func(d *wire.RoundKeyDeal) { d.Manifest = nil })},
		"an unknown round's":       {initiator, with(func(d *wire.RoundKeyDeal) { d.Round = strings.Repeat("f", 32) })},
		"a name that is a path":    {initiator, with(func(d *wire.RoundKeyDeal) { d.Round = "../../outside" })},
		"no round's":               {initiator, with(func(d *wire.RoundKeyDeal) { d.Round = "" })},
		"one that is too short":    {initiator, with(func(d *wire.RoundKeyDeal) { d.Key = d.Key[1:] })},
		"one that is far too long": {initiator, with(func(d *wire.RoundKeyDeal) { d.Key = make([]byte, 1<<20) })},
	} {
		if err := receiver.rounds.DeliverKey(t.Context(), c.from, c.deal); err == nil {
			t.Errorf("%s key was taken", name)
		}
	}
	if entries, err := os.ReadDir(receiver.cfg.Dir); err != nil || len(entries) > 0 {
		t.Errorf("something of them was kept: %v %v", entries, err)
	}
	s.town.Must(receiver.rounds.DeliverKey(t.Context(), initiator, honest))
	// A second one, even the initiator's, changes nothing.
	s.town.Must(receiver.rounds.DeliverKey(t.Context(), initiator, with(func(*wire.RoundKeyDeal) {})))
	s.until(id, federation.Keyed, nil)
	if err := receiver.rounds.DeliverKey(t.Context(), initiator, honest); err == nil {
		t.Error("a key was taken when everybody had confirmed it")
	}
	s.until(id, federation.Closed, nil)
	if err := receiver.rounds.DeliverKey(t.Context(), initiator, honest); err == nil {
		t.Error("a key was taken after the end")
	}
	s.wantLabels(s.houses[0], id, truth(0, 50)) // nobody used the second key
	s.wantClean(id)
}

// The relay loses the key: it is dealt again.
func TestALostRoundKey(t *testing.T) {
	t.Parallel()
	s := play(t)
	lost := s.houses[2].ID
	s.deaf[lost] = true
	id := s.propose(nil)
	s.until(id, federation.Reserved, nil)
	s.turn(id)
	dealt := len(s.keys)
	s.mu.Lock()
	s.deaf[lost] = false
	s.mu.Unlock()
	s.start(s.houses[0]) // who forgets when it dealt, and not which key
	s.until(id, federation.Closed, nil)
	for _, k := range s.keys[1:] {
		if !bytes.Equal(k.Key, s.keys[0].Key) {
			t.Error("another key was dealt for the same round")
		}
	}
	if len(s.keys) == dealt {
		t.Error("nothing was dealt again")
	}
}

// Two participants hold different keys: the round ends, and so do the keys.
func TestKeysThatDiffer(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	r := s.until(id, federation.Reserved, nil)
	s.square.Do(func(town *federationtest.Town) {
		town.Must(federationtest.Node(town, town.Members[2], protocol.KeyConfirm{RoundRef: r.Ref(), MAC: protocol.HashOf([]byte("another"))}))
	})
	s.until(id, federation.Aborted, nil)
	s.wantClean(id)
	if len(s.matcher.received) > 0 {
		t.Error("something was uploaded")
	}
}

func TestAMembersOwnPolicy(t *testing.T) {
	t.Parallel()
	s := play(t)
	own, err := policies.ParseLocal(`@id("pas-moi")
@fr("Nous ne participons pas cette semaine.")
@en("We do not take part this week.")
@fr_pass("Attendre la semaine prochaine.")
@en_pass("Wait for next week.")
forbid (principal, action, resource);
`)
	s.town.Must(err)
	s.houses[2].cfg.Own = func() (policies.Own, error) { return own, nil }
	s.start(s.houses[2])
	id := s.propose(nil)
	r := s.until(id, federation.Refused, nil)
	if r.By != protocol.PartyID(s.houses[2].ID) || !strings.Contains(r.Reason.EN, "do not take part this week") {
		t.Errorf("refused by %s: %+v", r.By, r.Reason)
	}
	s.wantClean(id)
	// Policies that cannot be read permit nothing, and refuse nothing either:
	// the member corrects them before the deadline.
	s.houses[2].cfg.Own = func() (policies.Own, error) { return policies.Own{}, errors.New("it does not parse") }
	s.start(s.houses[2])
	id = s.propose(nil)
	for range 3 {
		s.turn(id)
	}
	if r := s.round(id); r.Stage != federation.Proposed || r.Acks != 2 {
		t.Errorf("%s after %d answers", r.Stage, r.Acks)
	}
}

// A participant that lost what it announced says so, rather than let the others
// wait, and never sends other bytes.
func TestAnUploadIsLost(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	s.until(id, federation.Opened, nil)
	s.matcher.lose()
	s.town.Must(os.RemoveAll(filepath.Join(s.houses[1].cfg.Dir, string(id))))
	r := s.until(id, federation.Aborted, nil)
	if r.By != protocol.PartyID(s.houses[1].ID) {
		t.Errorf("ended by %s", r.By)
	}
	s.wantClean(id)
}

// An upload that was not whole when the process ended is made again.
func TestADamagedUpload(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	s.until(id, federation.Keyed, nil)
	path := filepath.Join(s.houses[1].cfg.Dir, string(id), "source-"+string(s.houses[1].ID)+".upload")
	s.town.Must(os.WriteFile(path, []byte("half of it"), 0o600))
	s.until(id, federation.Closed, nil)
	s.wantLabels(s.houses[0], id, truth(0, 50))
}

// A matcher that sends nonsense and then nothing: the step ends, its goroutines
// too, and the true labels count when they come.
func TestNonsenseForLabels(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	s.until(id, federation.Published, nil)
	s.matcher.mu.Lock()
	s.matcher.nonsense = true
	s.matcher.mu.Unlock()
	s.turn(id)
	if _, err := s.houses[0].rounds.Labelled(id); !errors.Is(err, rounds.ErrNoLabels) {
		t.Errorf("nonsense was kept: %v", err)
	}
	s.matcher.mu.Lock()
	s.matcher.nonsense = false
	s.matcher.mu.Unlock()
	s.until(id, federation.Closed, nil)
	s.wantLabels(s.houses[0], id, truth(0, 50))
}

// A matcher that takes an upload and never answers holds up nobody beyond the
// end of the round.
func TestAMatcherThatNeverAnswers(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	s.until(id, federation.Keyed, nil)
	stuck := make(chan struct{}, 1)
	h := s.houses[1]
	h.cfg.Matcher = silentMatcher{s.matcher, stuck}
	s.start(h)
	s.town.Must(h.rounds.Step(t.Context()))
	<-stuck
	r := s.round(id)
	s.town.Must(witnesstest.Post(s.square, s.town.Members[0], protocol.Abort{RoundRef: r.Ref(), Reason: r.Content().Title}))
	s.wantClean(id)
}

// silentMatcher waits until its caller gives up.
type silentMatcher struct {
	*matcher
	stuck chan<- struct{}
}

func (m silentMatcher) Upload(ctx context.Context, _ protocol.RoundID, _ protocol.SourceName, _ io.ReadSeeker) error {
	m.stuck <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// What an earlier process was writing goes; what it had finished stays.
func TestNewSweeps(t *testing.T) {
	t.Parallel()
	s := play(t)
	dir := s.houses[0].cfg.Dir
	s.town.Must(os.WriteFile(filepath.Join(dir, "x.spill"), nil, 0o600))
	s.town.Must(os.Mkdir(filepath.Join(dir, strings.Repeat("a", 32)), 0o700)) // a round that this log does not know yet
	s.start(s.houses[0])
	s.town.Must(s.houses[0].rounds.Step(t.Context()))
	s.houses[0].rounds.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != strings.Repeat("a", 32) {
		t.Errorf("%v %v", entries, err)
	}
	for _, id := range []protocol.RoundID{"", "../x", "A"} {
		if _, err := s.houses[0].rounds.Labelled(id); err == nil || errors.Is(err, rounds.ErrNoLabels) {
			t.Errorf("labels of %q: %v", id, err)
		}
		if err := s.houses[0].rounds.Forget(id); err == nil {
			t.Errorf("forgot %q", id)
		}
	}
}

// A round that moves on while a house is still at its last step does not wait
// for the log to grow, or for the clock.
func TestTheRoundMovesOnMeanwhile(t *testing.T) {
	t.Parallel()
	s := play(t)
	id := s.propose(nil)
	s.until(id, federation.Keyed, nil)
	s.matcher.mu.Lock()
	s.matcher.hold = make(chan struct{})
	s.matcher.mu.Unlock()
	step := func() {
		for _, h := range s.houses {
			s.town.Must(h.rounds.Step(t.Context()))
		}
	}
	step()
	s.eventually("every upload", func() bool {
		s.matcher.mu.Lock()
		defer s.matcher.mu.Unlock()
		return len(s.matcher.uploads) == len(s.houses)
	})
	s.square.Do(func(town *federationtest.Town) {
		town.Must(federationtest.State(town, protocol.Opening{RoundRef: town.Round(id).Ref()}))
		s.matcher.merge(t, town.Round(id).Content())
		town.Must(federationtest.State(town, town.Result(town.Round(id))))
	})
	step() // every house is still sending
	close(s.matcher.hold)
	s.eventually("everybody's labels", func() bool { return s.round(id).Stage == federation.Closed })
	for _, h := range s.houses {
		h.rounds.Wait()
	}
}

func (s *scene) eventually(what string, so func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not after half a minute", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
