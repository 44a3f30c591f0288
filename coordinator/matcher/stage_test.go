package matcher

import (
	"bytes"
	"context"
	"crypto/sha512"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"coulisse/protocol"
	"coulisse/protocol/match"
)

const roundID = protocol.RoundID("00112233445566778899aabbccddeeff")

var signedHash = protocol.HashOf([]byte("the signed manifest"))

// sent is what a node keeps of its upload.
type sent struct {
	bytes, rows []byte
	digest      protocol.Hash
}

// send makes the upload of a source that knows the people from one number to
// another; their rows are their numbers.
func send(t testing.TB, keys match.Keys, h match.Header, from, to int) sent {
	t.Helper()
	w := match.NewWriter(match.WriterConfig{Key: keys.Token, Folder: t.TempDir()})
	defer w.Close()
	for p := from; p < to; p++ {
		token := sha512.Sum512(fmt.Appendf(nil, "person %d", p))
		if err := w.Add(&token, match.Row(p)); err != nil {
			t.Fatal(err)
		}
	}
	var upload, rows bytes.Buffer
	receipt, err := w.Finish(context.Background(), h, &upload, &rows)
	if err != nil {
		t.Fatal(err)
	}
	return sent{upload.Bytes(), rows.Bytes(), receipt.Digest}
}

// stage is a matcher with one round: theatre, danse and musee, of which theatre
// and musee are recipients, and what each will send.
type stage struct {
	*Matcher
	folder   string
	manifest protocol.Manifest
	uploads  map[protocol.SourceName]sent
}

func newStage(t testing.TB, quota int64) *stage {
	t.Helper()
	s := &stage{folder: t.TempDir(), uploads: map[protocol.SourceName]sent{}}
	s.manifest = protocol.Manifest{
		Round:      roundID,
		Rule:       protocol.Rule{AtLeast: &protocol.AtLeast{T: 2, Of: []protocol.SourceName{"danse", "musee", "theatre"}}},
		Recipients: []protocol.SourceName{"musee", "theatre"},
	}
	keys := match.Derive(match.NewRoundKey(), signedHash)
	for name, people := range map[protocol.SourceName][2]int{"danse": {0, 3000}, "musee": {2500, 2900}, "theatre": {2000, 6000}} {
		s.manifest.Sources = append(s.manifest.Sources, protocol.Source{Name: name, Member: protocol.MemberID("house-of-" + name)})
		h := match.Header{Round: roundID, Manifest: signedHash, Source: name}
		s.uploads[name] = send(t, keys, h, people[0], people[1])
	}
	slices.SortFunc(s.manifest.Sources, func(a, b protocol.Source) int { return strings.Compare(string(a.Name), string(b.Name)) })
	var err error
	if s.Matcher, err = Open(Config{Folder: s.folder, Quota: quota}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) announcement(name protocol.SourceName) Announcement {
	return Announcement{Round: roundID, Manifest: signedHash, Source: name, Digest: s.uploads[name].digest}
}

// whole sends all that r has, and only from its beginning.
func whole(r io.Reader) Sender {
	return func(from int64) (io.Reader, error) {
		if from != 0 {
			return nil, fmt.Errorf("asked to go on from %d", from)
		}
		return r, nil
	}
}

func (s *stage) accept(name protocol.SourceName, r io.Reader) error {
	_, err := s.Accept(context.Background(), s.announcement(name), whole(r))
	return err
}

func (s *stage) run(ctx context.Context) (match.Outcome, error) {
	return s.Run(ctx, roundID, s.manifest)
}

func (s *stage) acceptAll(t testing.TB) {
	t.Helper()
	for name, u := range s.uploads {
		if err := s.accept(name, iotest.HalfReader(bytes.NewReader(u.bytes))); err != nil {
			t.Fatal(name, err)
		}
	}
}

// files lists what is on disk.
func (s *stage) files(t testing.TB) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(s.folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != s.folder {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func (s *stage) labelled(t testing.TB, name protocol.SourceName) (rows []match.Row) {
	t.Helper()
	file, err := s.OpenLabels(roundID, name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	labels, err := match.NewLabelReader(iotest.OneByteReader(file), match.MaxRecords)
	if err != nil {
		t.Fatal(err)
	}
	behind, err := match.NewRowReader(bytes.NewReader(s.uploads[name].rows))
	if err != nil {
		t.Fatal(err)
	}
	err = match.Labelled(labels, behind, func(r match.Row) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

func numbers(from, to int) (rows []match.Row) {
	for i := from; i < to; i++ {
		rows = append(rows, match.Row(i))
	}
	return rows
}
