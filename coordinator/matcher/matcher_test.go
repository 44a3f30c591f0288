package matcher

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/match"
	"coulisse/protocol/refusal"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLifeOfARound(t *testing.T) {
	s := newStage(t, 1<<20)
	if s.Have(roundID) != nil || s.Complete(roundID, s.manifest) {
		t.Error("has something before anything was sent")
	}
	s.acceptAll(t)
	select {
	case <-s.Arrived():
	default:
		t.Error("no signal that uploads have arrived")
	}
	if !s.Complete(roundID, s.manifest) {
		t.Error("not complete")
	}
	if have := s.Have(roundID); !slices.Equal(have, []protocol.SourceName{"danse", "musee", "theatre"}) {
		t.Errorf("has %v", have)
	}
	outcome, err := s.run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// 2000 to 3000 are in two houses, and those of the museum in three of them.
	if uint64(outcome.Total) != 1000 {
		t.Errorf("%d people, want 1000", uint64(outcome.Total))
	}
	for i, want := range []uint64{1000, 400, 1000} {
		if got := outcome.Sources[i]; uint64(got.Holds) != want {
			t.Errorf("%s has %d, want %d", got.Source, uint64(got.Holds), want)
		}
	}
	for range 2 { // labels may be fetched again
		if rows := s.labelled(t, "theatre"); !slices.Equal(rows, numbers(2000, 3000)) {
			t.Errorf("the theatre is told of %d rows", len(rows))
		}
		if rows := s.labelled(t, "musee"); !slices.Equal(rows, numbers(2500, 2900)) {
			t.Errorf("the museum is told of %d rows", len(rows))
		}
	}
	again, err := s.run(context.Background())
	if err != nil || fmt.Sprint(again) != fmt.Sprint(outcome) || again.Sources[1].Labels != outcome.Sources[1].Labels {
		t.Errorf("another outcome the second time: %v", err)
	}
	s.checkDisk(t)
	if err := s.Close(roundID); err != nil {
		t.Fatal(err)
	}
	if left := s.files(t); len(left) != 0 {
		t.Errorf("closing left %v", left)
	}
	if _, err := s.run(context.Background()); !errors.Is(err, ErrIncomplete) {
		t.Error(err)
	}
	if err := s.Close(roundID); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// checkDisk reads what is on disk as a thief would.
func (s *stage) checkDisk(t *testing.T) {
	t.Helper()
	files := 0
	for _, path := range s.files(t) {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			if info.Mode().Perm() != 0o700 {
				t.Errorf("the round's folder has mode %v", info.Mode())
			}
			continue
		}
		if files++; info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		round, _ := hex.DecodeString(string(roundID))
		for _, u := range s.uploads {
			record := u.bytes[len(u.bytes)/2/16*16:][:16]
			if bytes.Contains(raw, record) || bytes.Contains(raw, round) || bytes.Contains(raw, u.digest[:]) {
				t.Errorf("%s is readable", path)
			}
		}
	}
	if files != 5 {
		t.Errorf("%d files, want three uploads and two label files", files)
	}
}

func TestASubsetIsNeverOpened(t *testing.T) {
	s := newStage(t, 1<<20)
	for _, name := range []protocol.SourceName{"danse", "theatre"} {
		if err := s.accept(name, bytes.NewReader(s.uploads[name].bytes)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.run(context.Background())
	if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "musee") || strings.Contains(err.Error(), "danse") {
		t.Error(err)
	}
	if s.Complete(roundID, s.manifest) {
		t.Error("complete without the museum")
	}
	if _, err := s.OpenLabels(roundID, "theatre"); !errors.Is(err, ErrNotReady) || !errors.Is(err, refusal.ErrNotReady) {
		t.Error(err)
	}
}

func TestLabelsAreForRecipients(t *testing.T) {
	s := newStage(t, 1<<20)
	s.acceptAll(t)
	if err := s.Prepare(context.Background(), roundID, s.manifest); err != nil {
		t.Fatal(err)
	}
	for _, name := range []protocol.SourceName{"danse", "cirque", "../danse"} {
		if _, err := s.OpenLabels(roundID, name); !errors.Is(err, ErrNotRecipient) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.OpenLabels("ffffffffffffffffffffffffffffffff", "theatre"); !errors.Is(err, ErrNotReady) {
		t.Error(err)
	}
}

func TestRunRefusesWhatPaddingCouldSatisfy(t *testing.T) {
	s := newStage(t, 1<<20)
	s.acceptAll(t)
	s.manifest.Rule = protocol.Rule{Any: []protocol.Rule{{Source: "danse"}, {Source: "theatre"}}}
	if _, err := s.run(context.Background()); !errors.Is(err, match.ErrPaddable) {
		t.Error(err)
	}
}

// A sender that is silent occupies its own place only, and a Close does not wait
// for it.
func TestCloseDuringAnUpload(t *testing.T) {
	s := newStage(t, 1<<20)
	in, out := io.Pipe()
	ended := make(chan error)
	go func() { ended <- s.accept("danse", in) }()
	half := len(s.uploads["danse"].bytes) / 2
	if _, err := out.Write(s.uploads["danse"].bytes[:half]); err != nil {
		t.Fatal(err)
	}
	if err := s.accept("musee", bytes.NewReader(s.uploads["musee"].bytes)); err != nil {
		t.Errorf("another source: %v", err)
	}
	if err := s.Close(roundID); err != nil {
		t.Fatal(err)
	}
	// The round begins again while the old sender hangs.
	if err := s.accept("musee", bytes.NewReader(s.uploads["musee"].bytes)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = out.Write(s.uploads["danse"].bytes[half:])
		_ = out.Close()
	}()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("the upload ended with %v", err)
	}
	_ = in.Close()
	if left := s.files(t); len(left) != 2 || !slices.Equal(s.Have(roundID), []protocol.SourceName{"musee"}) {
		t.Errorf("the old round is in the new one: %v", left)
	}
	s.acceptAll(t)
	if _, err := s.run(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestCloseDuringARun(t *testing.T) {
	for range 10 {
		s := newStage(t, 1<<20)
		s.acceptAll(t)
		ended := make(chan error)
		for range 2 {
			go func() {
				_, err := s.run(context.Background())
				ended <- err
			}()
		}
		if err := s.Close(roundID); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-ended; err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrIncomplete) {
				t.Errorf("the run ended with %v", err)
			}
		}
		if left := s.files(t); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	}
}

func TestRunIsCancelled(t *testing.T) {
	s := newStage(t, 1<<20)
	s.acceptAll(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if outcome, err := s.run(context.Background()); err != nil || uint64(outcome.Total) != 1000 {
		t.Errorf("after a cancelled run: %v", err)
	}
}

func TestLabelsEndWithTheRound(t *testing.T) {
	s := newStage(t, 1<<20)
	s.acceptAll(t)
	if _, err := s.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	labels, err := s.OpenLabels(roundID, "theatre")
	if err != nil {
		t.Fatal(err)
	}
	defer labels.Close()
	if err := s.Close(roundID); err != nil {
		t.Fatal(err)
	}
	if _, err := labels.Read(make([]byte, 1)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// The disk may change what is on it; the merge must not.
func TestADamagedSpoolIsNoticed(t *testing.T) {
	s := newStage(t, 1<<20)
	damages := map[string]func([]byte) []byte{
		"flipped": func(b []byte) []byte { b[len(b)-2000] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-20] },
		"empty":   func([]byte) []byte { return nil },
		"more":    func(b []byte) []byte { return append(b, 0) },
	}
	for name, damage := range damages {
		s.acceptAll(t)
		path := s.rounds[roundID].uploadPath("danse")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.run(context.Background()); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.OpenLabels(roundID, "theatre"); !errors.Is(err, ErrNotReady) {
			t.Errorf("%s: labels of a failed run: %v", name, err)
		}
		if err := s.Close(roundID); err != nil {
			t.Fatal(err)
		}
	}
	s.acceptAll(t)
	if _, err := s.run(context.Background()); err != nil {
		t.Errorf("after beginning again: %v", err)
	}
}

func TestOpenSweepsWhatACrashLeft(t *testing.T) {
	s := newStage(t, 1<<20)
	s.acceptAll(t)
	theirs := filepath.Join(s.folder, "somebody-elses")
	if err := os.Mkdir(theirs, 0o700); err != nil {
		t.Fatal(err)
	}
	// No Close: the process is gone, and its memory with it.
	m, err := Open(Config{Folder: s.folder, Quota: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if left := s.files(t); !slices.Equal(left, []string{theirs}) {
		t.Errorf("left %v", left)
	}
	if m.Have(roundID) != nil {
		t.Error("the new process has a round")
	}
}

func TestSweepClosesWhatIsNotLive(t *testing.T) {
	s := newStage(t, 1<<20)
	s.acceptAll(t)
	other := s.announcement("danse")
	other.Round = "ffffffffffffffffffffffffffffffff"
	if _, err := s.Accept(context.Background(), other, whole(bytes.NewReader(nil))); !errors.Is(err, match.ErrTruncated) {
		t.Fatal(err)
	}
	if err := s.Sweep(other.Round); err != nil {
		t.Fatal(err)
	}
	if s.Have(roundID) != nil {
		t.Error("the other round is still there")
	}
	if left := s.files(t); len(left) != 1 || !strings.HasPrefix(filepath.Base(left[0]), string(other.Round)) {
		t.Errorf("left %v", left)
	}
	if err := s.Sweep(); err != nil || len(s.files(t)) != 0 {
		t.Errorf("left %v: %v", s.files(t), err)
	}
}
