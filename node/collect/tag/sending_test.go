package tag_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Guards that what happens without a network arrives when there is one again, once.
func TestOffline(t *testing.T) {
	in := newIntake(t)
	s := newSite(t, in.URL, byHost, pasted)
	b := newTab(t, in)
	b.before(`const real = fetch; window.failed = 0;
		window.fetch = (...a) => real(...a).catch((e) => { failed++; throw e })`)
	b.open(s.URL + "/")
	b.ready()
	b.click("accept")
	want := []string{"somebody page_view /", "somebody consent /"}
	b.want(want...)
	b.offline(true)
	b.click("next")
	b.click("buy")
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](`failed > 0`)); err != nil {
		t.Fatal(err)
	}
	b.run(`dispatchEvent(new Event("pagehide"))`) // no beacon: it would be lost
	if got := b.storage(); !strings.Contains(got, "T-1001") {
		t.Errorf("the purchase is not kept: %s", got)
	}
	b.offline(false)
	want = append(want, "somebody page_view /suite?page=2",
		"somebody purchase /suite?page=2 T-1001 CAD 84.5 S-12×2")
	b.want(want...)
	if got := b.storage(); strings.Contains(got, "T-1001") {
		t.Errorf("the queue is not emptied: %s", got)
	}
	b.once()
}

// Guards that what a page could not send, the next one does.
func TestLeftOffline(t *testing.T) {
	in, s, b := visit(t, byHost, pasted)
	in.answer = func(int, http.ResponseWriter) int { return http.StatusServiceUnavailable }
	b.ready()
	b.click("accept")
	b.click("buy")
	in.until("a try", func() bool { return in.asked > 0 })
	b.run(`coulisse("identify", {email: "a@example.com"})`)
	if got := b.storage(); strings.Contains(got, "a@example.com") {
		t.Errorf("an address is stored in the browser: %s", got)
	}
	in.mu.Lock()
	in.answer = nil
	in.mu.Unlock()
	b.open(s.URL + "/autre")
	b.ready()
	b.want("somebody page_view /", "somebody consent /", "somebody purchase / T-1001 CAD 84.5 S-12×2",
		"somebody identify / a@example.com", "somebody page_view /autre")
}

// once says that nothing was sent twice.
func (b *tab) once() {
	b.t.Helper()
	b.in.mu.Lock()
	defer b.in.mu.Unlock()
	for _, e := range b.in.events {
		if e.delivered != 1 {
			b.t.Errorf("%s was delivered %d times", e, e.delivered)
		}
	}
}

// Guards that a node that asks for time is given it, that what it refuses for good is
// not sent again, and that nothing is lost or doubled meanwhile.
func TestAskedToWait(t *testing.T) {
	for _, c := range []struct {
		status int
		after  string
		least  time.Duration
	}{
		{http.StatusTooManyRequests, "3", 3 * time.Second},
		{http.StatusServiceUnavailable, "3", 3 * time.Second},
		{http.StatusBadGateway, "", time.Second},
	} {
		in := newIntake(t)
		var refused, taken time.Time
		in.answer = func(n int, w http.ResponseWriter) int {
			if n == 1 {
				refused = time.Now()
				w.Header().Set("Retry-After", c.after)
				return c.status
			}
			if taken.IsZero() {
				taken = time.Now()
			}
			return http.StatusAccepted
		}
		s := newSite(t, in.URL, byHost, pasted)
		b := newTab(t, in)
		b.open(s.URL + "/")
		b.ready()
		b.click("accept")
		in.until("a first try", func() bool { return in.asked > 0 })
		b.click("buy")
		want := []string{"somebody page_view /", "somebody consent /", "somebody purchase / T-1001 CAD 84.5 S-12×2"}
		if c.after != "" { // then even a network that is there again, or a new page, has to wait
			b.run(`dispatchEvent(new Event("online"))`)
			b.open(s.URL + "/autre")
			want = append(want, "somebody page_view /autre")
		}
		b.want(want...)
		b.once()
		// The browser's clock and this one are the same; its timers are in milliseconds.
		if waited := taken.Sub(refused); waited < c.least-10*time.Millisecond {
			t.Errorf("%d with Retry-After: %q was asked again after %v", c.status, c.after, waited)
		}
	}
}

// Guards what happens in the last moment on a page.
func TestLeaving(t *testing.T) {
	in, _, b := visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	b.run(`buttons.buy(); location.href = "/vide"`)
	b.want("somebody page_view /", "somebody consent /", "somebody purchase / T-1001 CAD 84.5 S-12×2")
	if in.find("page_view", 0).beacon || !in.find("purchase", 0).beacon {
		t.Error("the page view goes by fetch, the purchase by beacon")
	}
	b.once()
	if got := b.storage(); strings.Contains(got, "T-1001") {
		t.Errorf("what the beacon took is in the queue: %s", got)
	}
}

// Guards that a batch which the node will never take does not stop those after it.
func TestRefusedForGood(t *testing.T) {
	in := newIntake(t)
	in.answer = func(n int, w http.ResponseWriter) int {
		if n == 1 {
			return http.StatusBadRequest
		}
		return http.StatusAccepted
	}
	s := newSite(t, in.URL, byHost, pasted)
	b := newTab(t, in)
	b.open(s.URL + "/")
	b.ready()
	b.click("accept")
	in.until("a first try", func() bool { return in.asked > 0 })
	b.click("buy")
	b.want("somebody purchase / T-1001 CAD 84.5 S-12×2")
}

// Guards the bounds: a page that says very much while the node is away keeps the
// latest hundred events, and sends them in bodies that a browser lets through.
func TestBounds(t *testing.T) {
	in := newIntake(t)
	in.answer = func(n int, w http.ResponseWriter) int { return http.StatusServiceUnavailable }
	s := newSite(t, in.URL, byHost, pasted)
	b := newTab(t, in)
	b.open(s.URL + "/")
	b.ready()
	b.click("accept")
	in.until("a first try", func() bool { return in.asked > 0 })
	b.run(`for (let i = 0; i < 300; i++) coulisse("event", "essai " + i, {texte: "é".repeat(1000), b: "é".repeat(500), c: "é".repeat(500)})`)
	if n := ask[int](b, `JSON.parse(localStorage["coulisse.queue"]).length`); n != 100 {
		t.Errorf("the queue holds %d events", n)
	}
	in.mu.Lock()
	in.answer = nil
	in.mu.Unlock()
	b.run(`dispatchEvent(new Event("online"))`)
	in.until("a hundred events", func() bool { return len(in.events) == 100 })
	if first := in.events[0]; first.Name != "essai 200" || len([]rune(first.Props["texte"])) != 500 {
		t.Errorf("the first that was kept: %+v", first)
	}
	b.once()
}

// Guards the browsers that forbid storage: a visit is told all the same.
func TestNoStorage(t *testing.T) {
	in := newIntake(t)
	s := newSite(t, in.URL, byHost, pasted)
	b := newTab(t, in)
	b.before(`Object.defineProperty(window, "localStorage", {get() { throw new DOMException("no", "SecurityError") }})`)
	b.open(s.URL + "/")
	b.ready()
	b.click("accept")
	b.click("buy")
	b.want("somebody page_view /", "somebody consent /", "somebody purchase / T-1001 CAD 84.5 S-12×2")
}
