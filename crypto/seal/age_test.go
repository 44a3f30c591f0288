package seal

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cctv "c2sp.org/CCTV/age"
	"filippo.io/age"
)

// TestVectors runs the public vectors of the age format through our reader: what
// they call a success must open whole, and everything else must end in one of our
// two errors without the library's text.
func TestVectors(t *testing.T) {
	names, err := fs.ReadDir(cctv.Vectors, ".")
	if err != nil || len(names) < 100 {
		t.Fatalf("%d vectors, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(name.Name(), func(t *testing.T) {
			contents, err := fs.ReadFile(cctv.Vectors, name.Name())
			if err != nil {
				t.Fatal(err)
			}
			v := parseVector(t, contents)
			out, err := readVector(v)
			switch {
			case v.armored && !errors.Is(err, ErrDamaged):
				t.Errorf("an armored file is not one of ours, got %v", err)
			case v.armored:
			case v.expect == "success" && (err != nil || sha256.Sum256(out) != v.payload):
				t.Errorf("does not open: %v", err)
			case v.expect == "no match" && err != ErrWrongIdentity:
				t.Errorf("got %v", err)
			case v.expect != "success" && v.expect != "no match" && err != ErrDamaged:
				t.Errorf("expected %s, got %v", v.expect, err)
			}
		})
	}
}

type vector struct {
	expect     string
	payload    [32]byte
	identities []age.Identity
	armored    bool
	file       []byte
}

func readVector(v vector) ([]byte, error) {
	r, err := newReader(bytes.NewReader(v.file), v.identities...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func parseVector(t *testing.T, contents []byte) (v vector) {
	t.Helper()
	head, file, ok := bytes.Cut(contents, []byte("\n\n"))
	if !ok {
		t.Fatal("a vector without a file")
	}
	v.file = file
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		var id age.Identity
		var err error
		switch key {
		case "expect":
			v.expect = value
		case "payload":
			_, err = hex.Decode(v.payload[:], []byte(value))
		case "identity":
			if id, err = age.ParseX25519Identity(value); err != nil {
				id, err = age.ParseHybridIdentity(value)
			}
		case "passphrase":
			id, err = age.NewScryptIdentity(value)
		case "armored":
			v.armored = true
		case "compressed":
			v.file = inflate(t, v.file)
		}
		if err != nil {
			t.Fatal(err)
		}
		if id != nil {
			v.identities = append(v.identities, id)
		}
	}
	return v
}

func inflate(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPublicFormat opens our file as any program for age would, with nothing but
// the two files: an operator must be able to do without us.
func TestPublicFormat(t *testing.T) {
	dir := t.TempDir()
	key, file := filepath.Join(dir, "identity.txt"), filepath.Join(dir, "secret.age")
	id, err := LoadOrCreateIdentity(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(file, []Recipient{id.Recipient()}, []byte("the plaintext")); err != nil {
		t.Fatal(err)
	}
	k, err := os.Open(key)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	ids, err := age.ParseIdentities(k)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := age.Decrypt(f, ids...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "the plaintext" {
		t.Fatalf("%q, %v", got, err)
	}
}
