package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestIdentityIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.txt")
	if _, err := LoadIdentity(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	// Processes that start at once must end with the one identity.
	const starters = 8
	got := make([]Recipient, starters)
	var wg sync.WaitGroup
	for i := range starters {
		wg.Go(func() {
			id, err := LoadOrCreateIdentity(path)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = id.Recipient()
		})
	}
	wg.Wait()
	for i := range got {
		if got[i] != got[0] || got[i] == "" {
			t.Errorf("starter %d got another identity", i)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestIdentityOthersCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.txt")
	if _, err := LoadOrCreateIdentity(path); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o604, 0o640, 0o602, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadOrCreateIdentity(path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(path); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
}

func TestIdentityFileForms(t *testing.T) {
	text := newIdentity(t).age.String()
	for name, file := range map[string]string{
		"empty":       "",
		"comment":     "# nothing\n",
		"two keys":    text + "\n" + newIdentity(t).age.String() + "\n",
		"twice":       text + "\n" + text + "\n",
		"classical":   "AGE-SECRET-KEY-184JMZMVQH3E6U0PSL869004Y3U2NYV7R30EU99CSEDNPH02YUVFSZW44VU\n",
		"cut":         text[:len(text)-1],
		"a recipient": string(newIdentity(t).Recipient()),
		"a long line": strings.Repeat("A", 1<<20),
	} {
		path := filepath.Join(t.TempDir(), "identity.txt")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadOrCreateIdentity(path)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "AGE-SECRET-KEY-PQ-1Q") || strings.Contains(err.Error(), text[20:40]) {
			t.Errorf("%s: the error quotes the key", name)
		}
		if kept, _ := os.ReadFile(path); string(kept) != file {
			t.Errorf("%s: the file was replaced", name)
		}
	}
}

// TestSecretsAreNotPrinted tries every way in which a value gets into a log.
func TestSecretsAreNotPrinted(t *testing.T) {
	id := newIdentity(t)
	key, err := NewEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []any{id, *id, key, *key, struct{ K *EnvelopeKey }{key}, struct{ I Identity }{*id}} {
		var b bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t"} {
			fmt.Fprintf(&b, verb+"\n", secret)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("text", "secret", secret)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "secret", secret)
		if j, err := json.Marshal(secret); err == nil {
			t.Errorf("%T became JSON: %s", secret, j)
		}
		low := strings.ToLower(b.String())
		for _, leak := range []string{
			strings.ToLower(id.age.String()), fmt.Sprintf("%x", key.Marshal()), "age-secret",
			strings.Trim(fmt.Sprint(key.Marshal()), "[]"),
		} {
			if strings.Contains(low, leak) {
				t.Errorf("%T is printed", secret)
			}
		}
	}
	if got := fmt.Sprint(id, key); got != "[secret] [secret]" {
		t.Error(got)
	}
}

func FuzzReadIdentity(f *testing.F) {
	f.Add([]byte("# public key: age1pq1\n" + newIdentity(f).age.String() + "\n"))
	f.Add([]byte("AGE-SECRET-KEY-PQ-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := readIdentity(bytes.NewReader(b))
		if (id == nil) == (err == nil) {
			t.Error("neither an identity nor an error")
		}
	})
}
