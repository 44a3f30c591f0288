package tokens_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/warehouse"
)

// Whoever is erased has no token any more; the others keep theirs, and nothing
// is debited for them again.
func TestErasingSomebody(t *testing.T) {
	t.Parallel()
	s := play(t, 20)
	s.town.Must(s.current.Complete(t.Context()))
	cache, _, err := s.current.Cache()
	s.town.Must(err)
	var erased oprf.Token
	s.town.Must(cache.Select(t.Context(), sequence(4), func(_ warehouse.PersonID, token *oprf.Token) error { erased = *token; return nil }))
	if s.filesWith(erased) != 1 {
		t.Fatal("the token is not where this test looks for it")
	}
	s.town.Must(s.current.Erase(t.Context(), []warehouse.PersonID{4, 7, 999}))
	if has, err := cache.Has(4); err != nil || has || cache.Len() != 18 {
		t.Errorf("%d tokens are left: %v", cache.Len(), err)
	}
	if s.filesWith(erased) != 0 {
		t.Error("the erased token is in a file")
	}
	s.town.Must(s.current.Complete(t.Context())) // nothing in the warehouse has changed
	if s.debited() != 20 {
		t.Errorf("%d debited", s.debited())
	}
}

// filesWith is how many files have a token, under their seal.
func (s *scene) filesWith(token oprf.Token) (n int) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "*"))
	s.town.Must(err)
	for _, path := range files {
		content, err := seal.ReadFile(path, s.cfg.Identity, 1<<20)
		s.town.Must(err)
		if bytes.Contains(content, token[:]) {
			n++
		}
	}
	return n
}

// The batch under way holds identifiers. It is given up if one of them is of
// somebody who is erased, and only then.
func TestErasingSomebodyInABatchUnderWay(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	for i := range 3 {
		s.behave(i, silent)
	}
	if err := s.current.Complete(t.Context()); err == nil {
		t.Fatal("no steward answers")
	}
	under := func() int {
		t.Helper()
		left, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "pending*"))
		s.town.Must(err)
		return len(left)
	}
	s.town.Must(s.current.Erase(t.Context(), []warehouse.PersonID{100}))
	if under() != 1 {
		t.Error("a batch was given up for nothing")
	}
	s.town.Must(s.current.Erase(t.Context(), []warehouse.PersonID{3}))
	if under() != 0 {
		t.Error("an erased person's identifier is in the batch under way")
	}
	for i := range 3 {
		s.behave(i, nil)
	}
	var log strings.Builder
	s.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s.start()
	s.town.Must(s.current.Complete(t.Context()))
	if cache, _, err := s.current.Cache(); err != nil || cache.Len() != 8 || s.debited() != 16 {
		t.Errorf("%d debited: %v", s.debited(), err)
	}
	if strings.Contains(log.String(), "older than the log") {
		t.Error("a batch that was given up is taken for one that was lost")
	}
}

// A folder from a backup has fewer tokens than the log has tickets. The rest
// is made again, and the log of the node says so, once.
func TestAFolderFromABackup(t *testing.T) {
	t.Parallel()
	s := play(t, 5)
	s.town.Must(s.current.Complete(t.Context()))
	backup := t.TempDir()
	s.town.Must(os.CopyFS(backup, os.DirFS(s.cfg.Dir)))
	s.add(3)
	s.town.Must(s.current.Complete(t.Context()))
	s.cfg.Dir = backup
	var log strings.Builder
	s.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		s.start()
		s.town.Must(s.current.Complete(context.Background()))
	}
	cache, _, err := s.current.Cache()
	s.town.Must(err)
	if cache.Len() != 8 || s.debited() != 11 || strings.Count(log.String(), "older than the log") != 1 {
		t.Errorf("%d tokens for %d debited; %s", cache.Len(), s.debited(), log.String())
	}
}
