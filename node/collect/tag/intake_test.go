package tag_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/node/collect/tag"
)

// batch is what event.schema.json says; a field that is not here is refused.
type batch struct {
	V       int    `json:"v"`
	Sent    int64  `json:"sent"`
	Visitor string `json:"visitor"`
	Consent struct {
		Analytics       string `json:"analytics"`
		Advertising     string `json:"advertising"`
		Personalisation string `json:"personalisation"`
		Pooling         string `json:"pooling"`
		At              int64  `json:"at"`
		Proof           string `json:"proof"`
		GPP             string `json:"gpp"`
		GPC             bool   `json:"gpc"`
	} `json:"consent"`
	Events []event `json:"events"`
}

type event struct {
	ID        string            `json:"id"`
	At        int64             `json:"at"`
	Type      string            `json:"type"`
	URL       string            `json:"url"`
	Title     string            `json:"title"`
	Referrer  string            `json:"referrer"`
	Language  string            `json:"language"`
	Name      string            `json:"name"`
	Scroll    int               `json:"scroll"`
	Engaged   int               `json:"engaged"`
	Target    string            `json:"target"`
	Value     any               `json:"value"`
	Currency  string            `json:"currency"`
	Order     string            `json:"transaction"`
	Items     []item            `json:"items"`
	Props     map[string]string `json:"props"`
	Email     string            `json:"email"`
	Phone     string            `json:"phone"`
	Account   string            `json:"account"`
	batch     *batch
	delivered int
	beacon    bool
}

type item struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Variant  string `json:"variant"`
	Price    any    `json:"price"`
	Quantity any    `json:"quantity"`
}

// intake is a server of the member's: it serves the tag and keeps what is sent to
// it, as long as answer lets it. All of that, the node's own intake has to take too.
type intake struct {
	*httptest.Server
	t    *testing.T
	node string

	mu     sync.Mutex
	events []*event
	asked  int
	seen   map[string]bool // sentinels of settle
	change chan struct{}   // closed and replaced at each request
	// answer, if set, decides on the nth POST /e: anything but 202 keeps nothing.
	answer func(n int, w http.ResponseWriter) int
}

func newIntake(t *testing.T) *intake {
	in := &intake{t: t, node: collecting(t, nowhere{}), change: make(chan struct{}), seen: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /c.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("ETag", tag.ETag())
		w.Write(tag.Gzipped())
	})
	mux.HandleFunc("POST /e", in.take)
	mux.HandleFunc("POST /seen/{n}", func(w http.ResponseWriter, r *http.Request) {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.seen[r.PathValue("n")] = true
		in.changed()
	})
	in.Server = httptest.NewServer(mux)
	// Not the site's host, which is 127.0.0.1: another site to the browser.
	in.URL = strings.Replace(in.URL, "127.0.0.1", "localhost", 1)
	t.Cleanup(in.Close)
	return in
}

func (in *intake) changed() {
	close(in.change)
	in.change = make(chan struct{})
}

func (in *intake) take(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	defer in.changed()
	in.asked++
	w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	if in.answer != nil {
		if status := in.answer(in.asked, w); status != http.StatusAccepted {
			w.WriteHeader(status)
			return
		}
	}
	w.WriteHeader(http.StatusAccepted)
	if len(r.Cookies()) > 0 {
		in.t.Errorf("POST /e came with cookies")
	}
	in.keep(r)
}

func (in *intake) keep(r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 64<<10+1))
	if err != nil || len(raw) > 64<<10 {
		in.t.Errorf("POST /e: %d bytes, %v", len(raw), err)
	}
	in.pass(r, raw)
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	var b batch
	if err := dec.Decode(&b); err != nil {
		in.t.Errorf("POST /e: %v in %s", err, raw)
		return
	}
	if strings.Contains(string(raw), `\ud`) {
		in.t.Errorf("POST /e holds half a character: %s", raw)
	}
	if len(b.Events) == 0 || len(b.Events) > 50 || b.V != 1 {
		in.t.Errorf("POST /e: version %d, %d events", b.V, len(b.Events))
	}
	for i := range b.Events {
		e := &b.Events[i]
		e.batch, e.delivered = &b, 1
		e.beacon = r.Header.Get("Sec-Fetch-Mode") == "no-cors" // fetch reads the answer
		if at := slices.IndexFunc(in.events, func(k *event) bool { return k.ID == e.ID }); at >= 0 {
			in.events[at].delivered++
			continue
		}
		in.events = append(in.events, e)
	}
}

// pass has the node's intake say what it thinks of a body.
func (in *intake) pass(r *http.Request, raw []byte) {
	again, err := http.NewRequest("POST", in.node+"/e", bytes.NewReader(raw))
	if err != nil {
		in.t.Error(err)
		return
	}
	again.Header = r.Header.Clone()
	answer, err := http.DefaultClient.Do(again)
	if err != nil {
		in.t.Error(err)
		return
	}
	defer answer.Body.Close()
	if words, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusAccepted {
		in.t.Errorf("the node refuses: %s: %s\n%s", answer.Status, words, raw)
	}
}

// until waits for a condition on what has come; the caller's function holds no lock.
func (in *intake) until(what string, holds func() bool) {
	in.t.Helper()
	late := time.After(20 * time.Second)
	for {
		in.mu.Lock()
		ok, change := holds(), in.change
		in.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-change:
		case <-late:
			in.t.Fatalf("waited 20 s for %s; there is %v", what, in.kept())
		}
	}
}

// kept is what was stored, in the order in which it happened, without engagement:
// whether a page is looked at for a second depends on the machine.
func (in *intake) kept() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	events := slices.Clone(in.events)
	slices.SortStableFunc(events, func(a, b *event) int { return cmp.Compare(a.At, b.At) })
	var said []string
	for _, e := range events {
		if e.Type != "engagement" {
			said = append(said, e.String())
		}
	}
	return said
}

// String says what matters of an event: who, what, where.
func (e *event) String() string {
	who := "somebody"
	if e.batch.Visitor == "" {
		who = "nobody"
	}
	path := e.URL[strings.Index(e.URL, "//")+2:]
	path = path[strings.Index(path, "/"):]
	words := []string{who, e.Type, path}
	for _, w := range []string{e.Name, e.Target, e.Order, e.Currency, e.Email, e.Phone, e.Account} {
		if w != "" {
			words = append(words, w)
		}
	}
	if e.Value != nil {
		words = append(words, fmt.Sprint(e.Value))
	}
	for _, i := range e.Items {
		words = append(words, fmt.Sprintf("%s×%v", i.ID, i.Quantity))
	}
	return strings.Join(words, " ")
}

// find gives the nth event of a type.
func (in *intake) find(kind string, n int) *event {
	in.t.Helper()
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, e := range in.events {
		if e.Type == kind {
			if n--; n < 0 {
				return e
			}
		}
	}
	in.t.Fatalf("there is no %s", kind)
	return nil
}
