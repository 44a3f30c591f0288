package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Read by place, a sealed file is what it is as a stream.
func TestReadingAtAnyPlace(t *testing.T) {
	id, path := newIdentity(t), filepath.Join(t.TempDir(), "x.age")
	for _, size := range []int{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 3*ChunkSize + 17} {
		plaintext := make([]byte, size)
		if _, err := rand.Read(plaintext); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(path, []Recipient{id.Recipient()}, plaintext); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFileAt(path, id)
		if err != nil || f.Size() != int64(size) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if read, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size())); err != nil || !bytes.Equal(read, plaintext) {
			t.Errorf("%d bytes: %v", size, err)
		}
		for _, off := range []int{0, size / 3, max(size-1, 0), size} {
			p := make([]byte, 100)
			n, err := f.ReadAt(p, int64(off))
			if !bytes.Equal(p[:n], plaintext[off:][:n]) || n < min(100, size-off) || err != nil && err != io.EOF {
				t.Errorf("place %d of %d: %d bytes, %v", off, size, n, err)
			}
		}
		for _, off := range []int64{-1, int64(size) + 1} {
			if _, err := f.ReadAt(make([]byte, 1), off); err == nil || err == io.EOF {
				t.Errorf("place %d of %d: %v", off, size, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(make([]byte, 1), 0); size > 2*ChunkSize && !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a failing disk is told as a bad file: %v", err)
		}
	}
	if _, err := OpenFileAt(path, newIdentity(t)); !errors.Is(err, ErrWrongIdentity) {
		t.Errorf("another identity: %v", err)
	}
	if _, err := OpenFileAt(path+"x", id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Cut or altered anywhere, it does not open, or does not read where it was
// altered; what reads is right.
func TestReadingADamagedFileAtAnyPlace(t *testing.T) {
	id, path := newIdentity(t), filepath.Join(t.TempDir(), "x.age")
	plaintext := bytes.Repeat([]byte("sixteen bytes..."), 3*ChunkSize/16)
	sealed := sealBytes(t, plaintext, id.Recipient())
	for cut := 1; cut < len(sealed); cut += len(sealed) / 97 {
		if err := os.WriteFile(path, sealed[:len(sealed)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFileAt(path, id); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d bytes cut off: %v", cut, err)
		}
	}
	for at := 0; at < len(sealed); at += len(sealed) / 97 {
		bad := bytes.Clone(sealed)
		bad[at] ^= 4
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFileAt(path, id)
		if err == nil {
			var read []byte
			read, err = io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
			if !bytes.HasPrefix(plaintext, read) {
				t.Fatalf("byte %d altered: other content was read", at)
			}
			_ = f.Close()
		}
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongIdentity) {
			t.Fatalf("byte %d altered: %v", at, err)
		}
	}
}
