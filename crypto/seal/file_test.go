package seal

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"coulisse/crypto/durable"
)

func newIdentity(t testing.TB) *Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// sealBytes seals in memory.
func sealBytes(t testing.TB, plaintext []byte, to ...Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plaintext); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openBytes(sealed []byte, id *Identity) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(sealed), id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestFileRoundTrip(t *testing.T) {
	a, b, other := newIdentity(t), newIdentity(t), newIdentity(t)
	path := filepath.Join(t.TempDir(), "secret.age")
	// 64 KiB is a chunk of the format: sizes around it take different paths.
	for _, size := range []int{0, 1, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1 << 18} {
		plaintext := bytes.Repeat([]byte{0x5a}, size)
		if err := WriteFile(path, []Recipient{a.Recipient(), b.Recipient()}, plaintext); err != nil {
			t.Fatal(err)
		}
		for _, id := range []*Identity{a, b} {
			if got, err := ReadFile(path, id, int64(size)); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("size %d: %d bytes, %v", size, len(got), err)
			}
		}
		if _, err := ReadFile(path, other, int64(size)); !errors.Is(err, ErrWrongIdentity) {
			t.Errorf("size %d, wrong identity: %v", size, err)
		}
		if got, err := ReadFile(path, a, math.MaxInt64); err != nil || len(got) != size {
			t.Errorf("size %d without bound: %d bytes, %v", size, len(got), err)
		}
		if _, err := ReadFile(path, a, int64(size)-1); size > 0 && !errors.Is(err, ErrTooLarge) {
			t.Errorf("size %d, bound one below: %v", size, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := ReadFile(path+".absent", a, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// TestCreateLeavesTheOld guards against a half-written file under the final name.
func TestCreateLeavesTheOld(t *testing.T) {
	id := newIdentity(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "cache.age")
	if err := WriteFile(path, []Recipient{id.Recipient()}, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte("new"), 1<<16)); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(path, id, 10); err != nil || string(got) != "old" {
		t.Errorf("before the commit: %q, %v", got, err)
	}
	f.Discard()
	f.Discard()
	if err := f.Commit(); err == nil {
		t.Error("a discarded file was committed")
	}
	if got, err := ReadFile(path, id, 10); err != nil || string(got) != "old" {
		t.Errorf("after the discard: %q, %v", got, err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestCommitFailure(t *testing.T) {
	id := newIdentity(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "by a folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []Recipient{id.Recipient()}, []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestTruncation(t *testing.T) {
	id := newIdentity(t)
	short := sealBytes(t, []byte("three words here"), id.Recipient())
	for n := range short {
		if _, err := openBytes(short[:n], id); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d of %d: %v", n, len(short), err)
		}
	}
	const chunk = 1<<16 + 16
	long := sealBytes(t, make([]byte, 3<<16), id.Recipient())
	body := len(long) - 3*chunk
	for _, n := range []int{body, body + 1, body + chunk, body + chunk + 1, body + 2*chunk, len(long) - 1} {
		if _, err := openBytes(long[:n], id); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d of %d: %v", n, len(long), err)
		}
	}
	// Whole chunks removed or repeated.
	for _, b := range [][]byte{
		append(bytes.Clone(long[:body]), long[body+chunk:]...),
		append(bytes.Clone(long[:body+chunk]), long[body:]...),
		append(bytes.Clone(long), 0),
	} {
		if _, err := openBytes(b, id); !errors.Is(err, ErrDamaged) {
			t.Errorf("chunks moved: %v", err)
		}
	}
}

func TestFlippedBits(t *testing.T) {
	id := newIdentity(t)
	sealed := sealBytes(t, []byte("three words here"), id.Recipient())
	for i := range sealed {
		b := bytes.Clone(sealed)
		b[i] ^= 1 << (i % 8)
		if _, err := openBytes(b, id); err != ErrDamaged && err != ErrWrongIdentity {
			t.Fatalf("bit %d of byte %d flipped: %v", i%8, i, err)
		}
	}
}

func TestNotAnAgeFile(t *testing.T) {
	id := newIdentity(t)
	_, err := openBytes([]byte("e-mail;prenom\nnobody@example.org;N\n"), id)
	if err != ErrDamaged {
		t.Errorf("an error of the parser came through: %v", err)
	}
}

// TestFailingDisk: a disk that fails must not be reported as a file to restore.
func TestFailingDisk(t *testing.T) {
	id := newIdentity(t)
	disk := errors.New("input/output error")
	sealed := sealBytes(t, make([]byte, 1<<17), id.Recipient())
	for _, n := range []int{0, 10, 1000, 1 << 16, len(sealed)} {
		r, err := NewReader(io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(disk)), id)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, disk) || errors.Is(err, ErrDamaged) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestRecipients(t *testing.T) {
	id := newIdentity(t)
	if err := id.Recipient().Check(); err != nil {
		t.Error(err)
	}
	for _, r := range []Recipient{
		"", "age1pq1",
		"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", // classical
		id.Recipient() + "x", id.Recipient()[:100],
	} {
		if err := r.Check(); !errors.Is(err, ErrKey) {
			t.Errorf("%.20q: %v", r, err)
		}
	}
	for _, rs := range [][]Recipient{nil, make([]Recipient, maxRecipients+1), {""}} {
		if _, err := NewWriter(io.Discard, rs...); err == nil {
			t.Errorf("sealed for %d recipients", len(rs))
		}
	}
	if err := WriteFile(filepath.Join(t.TempDir(), "x"), nil, nil); err == nil {
		t.Error("a file sealed for nobody")
	}
}

func FuzzReader(f *testing.F) {
	id := newIdentity(f)
	sealed := sealBytes(f, []byte("plaintext"), id.Recipient())
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-1])
	f.Add([]byte("age-encryption.org/v1\n-> X25519 AAAA\nAAAA\n--- AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := openBytes(b, id)
		if err == nil && !bytes.Equal(b, sealed) {
			t.Error("opened what was never sealed")
		}
		if err != nil && err != ErrDamaged && err != ErrWrongIdentity {
			t.Error(err)
		}
	})
}

// What a crash leaves beside a sealed file is told from it by its name alone.
func TestIsTemporary(t *testing.T) {
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "share.age"), id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !durable.IsTemporary(entries[0].Name()) {
		t.Errorf("%v %v", entries, err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
}
