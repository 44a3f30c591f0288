package collect

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"coulisse/node/warehouse"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0"

// house is a collector that runs, with its warehouse.
type house struct {
	*Collector
	warehouse *warehouse.Warehouse
	url       string
	stop      func()
}

func settings(t testing.TB, more string) Settings {
	t.Helper()
	s, err := ParseSettings([]byte("sites: [www.theatre.example, billets.theatre.example]\nrequests_per_second: 100000\n" + more))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t testing.TB, dir string, cfg Config) *house {
	t.Helper()
	w, err := warehouse.Open(t.Context(), warehouse.Config{Path: filepath.Join(dir, "warehouse.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, dir, cfg, w, w)
}

// startWith starts a collector over a warehouse of the test's own.
func startWith(t testing.TB, dir string, cfg Config, w *warehouse.Warehouse, into Warehouse) *house {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	cfg.Dir, cfg.Warehouse = filepath.Join(dir, "spool"), into
	c, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, listener) }()
	stopped := false
	h := &house{Collector: c, warehouse: w, url: "http://" + listener.Addr().String(), stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}}
	t.Cleanup(h.stop)
	return h
}

func draw() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func readID(s string) (id [16]byte) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	copy(id[:], raw)
	return id
}

// post sends a body as a browser on the site does.
func (h *house) post(t testing.TB, body string) (int, string) {
	t.Helper()
	return h.postAs(t, body, map[string]string{"User-Agent": firefox, "Origin": "https://www.theatre.example", "Content-Type": "text/plain"})
}

func (h *house) postAs(t testing.TB, body string, headers map[string]string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, h.url+"/e", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	said, _ := io.ReadAll(reply.Body)
	return reply.StatusCode, string(bytes.TrimSpace(said))
}

// request is a body with one page view; more is of the event.
func request(consent, visitor, more string) string {
	now := time.Now().UnixMilli()
	if visitor != "" {
		visitor = `"visitor":"` + visitor + `",`
	}
	return fmt.Sprintf(`{"v":1,"sent":%d,%s"consent":%s,"events":[{"id":"%s","at":%d,"type":"page_view","url":"https://www.theatre.example/icare?utm_source=infolettre&utm_medium=email&courriel=a@b.example#x"%s}]}`,
		now, visitor, consent, draw(), now-40, more)
}

const agrees = `{"analytics":"granted","advertising":"denied","pooling":"granted","proof":"gcm"}`

// stored waits until the warehouse has taken what was accepted.
func (h *house) stored(t testing.TB, want int64) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if h.Figures().Stored >= want {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("after five seconds the warehouse has %d events, want %d: %+v", h.Figures().Stored, want, h.Figures())
}

// stuck is a warehouse whose Take fails until it is let.
type stuck struct {
	Warehouse
	free atomic.Bool
	fail error
}

func (s *stuck) Take(ctx context.Context, b warehouse.Batch) (int, error) {
	if !s.free.Load() {
		return 0, s.fail
	}
	return s.Warehouse.Take(ctx, b)
}

// What the warehouse does not take waits, is said, and is there at the next
// start; a segment that a crash left behind its position is deleted.
func TestWarehouseThatRefuses(t *testing.T) {
	dir := t.TempDir()
	w, err := warehouse.Open(t.Context(), warehouse.Config{Path: filepath.Join(dir, "warehouse.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	s := &stuck{Warehouse: w, fail: errors.New("no memory")}
	h := startWith(t, dir, Config{Settings: settings(t, ""), Logger: slog.New(slog.DiscardHandler)}, w, s)
	if code, said := h.post(t, request(agrees, draw(), "")); code != http.StatusAccepted {
		t.Fatal(code, said)
	}
	for h.Figures().Trouble == "" {
		runtime.Gosched()
	}
	if f := h.Figures(); f.Stored != 0 || f.Waiting == 0 || f.Trouble != "no memory" {
		t.Errorf("%+v", f)
	}
	left, err := filepath.Glob(filepath.Join(dir, "spool", "*"))
	if err != nil || len(left) != 1 {
		t.Fatal(left, err)
	}
	kept, err := os.ReadFile(left[0])
	if err != nil {
		t.Fatal(err)
	}
	h.stop()

	h = start(t, dir, Config{Settings: settings(t, "")})
	h.stored(t, 1)
	h.drained(t)
	h.stop()
	if err := os.WriteFile(left[0], kept, 0o600); err != nil {
		t.Fatal(err)
	}
	h = start(t, dir, Config{Settings: settings(t, "")})
	h.drained(t)
	if f := h.Figures(); f.Stored != 0 {
		t.Errorf("what was stored before is stored again: %+v", f)
	}
}

func TestFromThePageToTheWarehouse(t *testing.T) {
	h := start(t, t.TempDir(), Config{Settings: settings(t, "")})
	if code, said := h.post(t, request(agrees, draw(), `,"title":"Icare","referrer":"https://www.google.com/search?q=icare"`)); code != http.StatusAccepted {
		t.Fatal(code, said)
	}
	h.stored(t, 1)
	h.drained(t)
}
