package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation/federationtest"
)

// made is a backup as bytes, not sealed.
func made(t testing.TB, alter func(*Backup)) []byte {
	t.Helper()
	town := federationtest.Found(t, 3)
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	note, err := checkpoint.Sign(checkpoint.OriginOf(town.View()), town.Head(), town.Replica)
	town.Must(err)
	c, err := checkpoint.Open(note, town.View())
	town.Must(err)
	b, err := Make(Manifest{Replica: "r1", Federation: town.Federation, At: 1, Version: "now"},
		map[string][]byte{"replica.json": []byte("{}"), "key.age": {1, 2, 3}}, &town.Log)
	town.Must(err)
	alter(&b)
	var raw bytes.Buffer
	town.Must(b.Write(&raw, c))
	return raw.Bytes()
}

func TestRoundTrip(t *testing.T) {
	raw := made(t, func(*Backup) {})
	b, err := Read(bytes.NewReader(raw), "now")
	if err != nil || b.Replica != "r1" || len(b.Files) != 2 || !slices.Equal(b.Files["key.age"], []byte{1, 2, 3}) || !b.Compared || b.Statement.Head != b.Head {
		t.Fatalf("%+v %v", b.Manifest, err)
	}
	if other, err := Read(bytes.NewReader(raw), "next"); err != nil || other.Compared {
		t.Error("another version compares states:", err)
	}
	for cut := 0; cut < len(raw); cut += 97 {
		if _, err := Read(bytes.NewReader(raw[:cut]), "now"); err == nil && cut < len(raw)-3*512 { // padding, and two blocks of zeros, end it
			t.Fatalf("cut to %d of %d, it is a backup", cut, len(raw))
		}
	}
}

func TestAlteredManifests(t *testing.T) {
	for name, alter := range map[string]func(*Backup){
		"another form":       func(b *Backup) { b.Format = "x" },
		"no form":            func(b *Backup) { b.Format = "" },
		"another head":       func(b *Backup) { b.Head.Size-- },
		"another state":      func(b *Backup) { b.State = protocol.HashOf(nil) },
		"another federation": func(b *Backup) { b.Federation = protocol.HashOf(nil) },
		"a name with a path": func(b *Backup) { b.Files["../x"] = nil },
		"a name of a folder": func(b *Backup) { b.Files[".."] = nil },
		"a drive":            func(b *Backup) { b.Files["c:x"] = nil },
		"too large a file":   func(b *Backup) { b.Files["x"] = make([]byte, MaxFile+1) },
	} {
		_, err := Read(bytes.NewReader(made(t, alter)), "now")
		if !errors.Is(err, ErrBackup) && !errors.Is(err, archive.ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// part is one of a tar.
type part struct {
	header  *tar.Header
	content []byte
}

func parts(t *testing.T, raw []byte) (list []part) {
	t.Helper()
	for in := tar.NewReader(bytes.NewReader(raw)); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, part{header, content})
	}
}

func TestPartsOutOfPlace(t *testing.T) {
	list := parts(t, made(t, func(*Backup) {}))
	last := len(list) - 1
	link := *list[1].header
	link.Typeflag, link.Linkname, link.Size = tar.TypeSymlink, "/etc/passwd", 0
	for name, bad := range map[string][]part{
		"no manifest":         list[1:],
		"no log":              list[:last],
		"two manifests":       append([]part{list[0]}, list...),
		"something after":     append(slices.Clone(list), list[1]),
		"a link":              {list[0], {&link, nil}, list[last]},
		"a stranger":          {list[0], {&tar.Header{Name: "x", Typeflag: tar.TypeReg}, nil}, list[last]},
		"the log comes first": {list[last], list[0]},
	} {
		var raw bytes.Buffer
		out := tar.NewWriter(&raw)
		for _, p := range bad {
			if err := out.WriteHeader(p.header); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write(p.content); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&raw, "now"); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	raw := made(f, func(*Backup) {})
	f.Add(raw)
	f.Add(raw[:2048])
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := Read(bytes.NewReader(raw), "now")
		if err == nil && (b.Log == nil || b.Format != Format) {
			t.Error("half a backup was read")
		}
	})
}
