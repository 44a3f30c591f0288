package collect

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"coulisse/node/collect/spool"
	"coulisse/node/collect/tag"
)

func TestAnswers(t *testing.T) {
	h := start(t, t.TempDir(), Config{Settings: settings(t, "")})
	headers := func(more ...string) map[string]string {
		all := map[string]string{"User-Agent": firefox, "Origin": "https://www.theatre.example", "Content-Type": "text/plain"}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	good := request(agrees, draw(), "")
	for name, c := range map[string]struct {
		body    string
		headers map[string]string
		want    int
		says    string
	}{
		"good":                 {good, headers(), 202, ""},
		"the same again":       {good, headers(), 202, ""},
		"as JSON":              {request(agrees, "", ""), headers("Content-Type", "application/json; charset=utf-8"), 202, ""},
		"another site's page":  {strings.ReplaceAll(request(agrees, "", ""), "www.theatre.example", "autre.example"), headers(), 400, "sites of collect.yaml"},
		"from another site":    {request(agrees, "", ""), headers("Origin", "https://autre.example"), 403, "not among those"},
		"from a file":          {request(agrees, "", ""), headers("Origin", "null"), 403, "not among those"},
		"without an origin":    {request(agrees, "", ""), headers("Origin", ""), 202, ""},
		"a form":               {request(agrees, "", ""), headers("Content-Type", "application/x-www-form-urlencoded"), 415, "text/plain"},
		"too long":             {strings.Repeat(" ", maxBody) + request(agrees, "", ""), headers(), 413, "64 KiB"},
		"no JSON":              {"hello", headers(), 400, "not JSON"},
		"an unknown name":      {request(agrees, "", `,"userId":"claire"`), headers(), 400, `"/events/0/userId"`},
		"a wrong number":       {request(agrees, "", `,"scroll":101`), headers(), 400, "a whole number from 0 to 100"},
		"a robot":              {request(agrees, draw(), ""), headers("User-Agent", "Googlebot/2.1 (+http://www.google.com/bot.html)"), 202, ""},
		"before any consent":   {request(`{}`, "", ""), headers(), 202, ""},
		"under 14":             {request(`{"analytics":"granted","minor":true}`, draw(), ""), headers(), 202, ""},
		"nothing about the id": {strings.Replace(request(agrees, "", ""), `"id":"`, `"id":"claire@`, 1), headers(), 400, "22 characters"},
	} {
		code, said := h.postAs(t, c.body, c.headers)
		if code != c.want || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d %s", name, code, said)
		}
		if strings.Contains(said, "claire") && name != "an unknown name" {
			t.Errorf("%s: the answer repeats what was sent: %s", name, said)
		}
	}
	h.drained(t)
	f := h.Figures()
	if want := (Refused{Form: 6, Site: 3, Bot: 1, Minor: 1, Consent: 1}); f.Refused != want || f.Accepted != 4 || f.Stored != 3 {
		t.Errorf("%+v, want %+v", f, want)
	}
}

func TestCORS(t *testing.T) {
	h := start(t, t.TempDir(), Config{Settings: settings(t, "")})
	for origin, allowed := range map[string]bool{
		"https://www.theatre.example": true, "http://billets.theatre.example:8080": true,
		"https://theatre.example": false, "https://www.theatre.example.evil.example": false, "null": false,
	} {
		r, _ := http.NewRequest(http.MethodOptions, h.url+"/e", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		if got := reply.Header.Get("Access-Control-Allow-Origin"); (got == origin) != allowed || !allowed && got != "" || reply.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: allowed %q", origin, got)
		}
		if reply.Header.Get("Access-Control-Allow-Credentials") != "" || reply.Header.Get("Set-Cookie") != "" {
			t.Error("cookies are spoken of")
		}
	}
}

func TestScript(t *testing.T) {
	ask := func(headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/c.js", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		(&Collector{}).handler().ServeHTTP(w, r)
		return w
	}
	plain := ask()
	if plain.Code != 200 || !bytes.Equal(plain.Body.Bytes(), tag.Script()) || !strings.HasPrefix(plain.Header().Get("Content-Type"), "text/javascript") {
		t.Errorf("%d, %v", plain.Code, plain.Header())
	}
	packed := ask("Accept-Encoding", "br, gzip")
	r, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || !bytes.Equal(text, tag.Script()) || packed.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("compressed it is another script: %v", err)
	}
	for _, w := range []*httptest.ResponseRecorder{plain, packed} {
		if again := ask("If-None-Match", w.Header().Get("ETag")); again.Code != 304 || again.Body.Len() > 0 {
			t.Errorf("asked again: %d", again.Code)
		}
	}
	if again := ask("If-None-Match", `"of before"`); again.Code != 200 {
		t.Errorf("another version: %d", again.Code)
	}
	w := httptest.NewRecorder()
	(&Collector{}).handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/e.schema.json", nil))
	if !bytes.Equal(w.Body.Bytes(), schema) {
		t.Error("the schema is not served")
	}
}

func TestTooManyFromOneNetwork(t *testing.T) {
	now := at
	g := newGate(2, func() time.Time { return now })
	one, other := netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/48")
	passed := 0
	for g.let(one) == 0 {
		passed++
	}
	if wait := g.let(one); passed != 20 || wait != time.Second/2 {
		t.Errorf("%d at once, then a wait of %v", passed, wait)
	}
	if g.let(other) != 0 {
		t.Error("another network waits too")
	}
	now = now.Add(time.Second / 2)
	if g.let(one) != 0 || g.let(one) == 0 {
		t.Error("it does not go on at its pace")
	}

	h := start(t, t.TempDir(), Config{Settings: settings(t, "trusted_proxies: [127.0.0.1]"), now: func() time.Time { return at }})
	h.gate = newGate(1, func() time.Time { return at })
	send := func(from string) (code int, retry string) {
		r, _ := http.NewRequest(http.MethodPost, h.url+"/e", strings.NewReader(request(`{}`, "", "")))
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("X-Forwarded-For", from)
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		return reply.StatusCode, reply.Header.Get("Retry-After")
	}
	for range 10 {
		if code, _ := send("203.0.113.5"); code != 202 {
			t.Fatal(code)
		}
	}
	if code, retry := send("203.0.113.200"); code != http.StatusTooManyRequests || retry != "1" {
		t.Errorf("the eleventh: %d, Retry-After %q", code, retry)
	}
	if code, _ := send("198.51.100.1"); code != 202 {
		t.Errorf("from elsewhere: %d", code)
	}
}

func TestClient(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"203.0.113.77:1", "", "203.0.113.0/24"},
		{"203.0.113.77:1", "198.51.100.1", "203.0.113.0/24"}, // nobody's proxy
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.0/24"},
		{"10.0.0.1:1", "192.0.2.1, 198.51.100.1, 10.9.9.9", "198.51.100.0/24"}, // the first is only claimed
		{"10.0.0.1:1", "", "10.0.0.0/24"},
		{"10.0.0.1:1", "nonsense", "10.0.0.0/24"},
		{"[::1]:1", "2001:db8:1:2:3::4", "2001:db8:1::/48"},
		{"[::ffff:203.0.113.77]:1", "", "203.0.113.0/24"},
		{"[fe80::1%eth0]:1", "", "fe80::/48"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/e", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := network(client(r, trusted)).String(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// room is a disk that is full when it is told to be.
type room struct {
	spool.File
	full *atomic.Bool
}

func (f room) Write(p []byte) (int, error) {
	if f.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// On a full disk nothing is acknowledged, and all goes on when there is room.
func TestFullDisk(t *testing.T) {
	var full atomic.Bool
	h := start(t, t.TempDir(), Config{Settings: settings(t, ""), create: func(path string) (spool.File, error) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
		return room{f, &full}, err
	}})
	if code, said := h.post(t, request(agrees, draw(), "")); code != 202 {
		t.Fatal(code, said)
	}
	full.Store(true)
	visitor := draw()
	if code, said := h.post(t, request(agrees, visitor, "")); code != http.StatusServiceUnavailable {
		t.Fatal(code, said)
	}
	full.Store(false)
	if code, said := h.post(t, request(agrees, visitor, "")); code != 202 {
		t.Fatal(code, said)
	}
	h.stored(t, 2)
	if f := h.Figures(); f.Refused.Disk != 1 || f.Accepted != 2 {
		t.Errorf("%+v", f)
	}
}

func TestSettings(t *testing.T) {
	s, err := ParseSettings(NewSettings([]string{"www.theatre.example", "billets.theatre.example"}))
	if err != nil || len(s.Sites) != 2 || s.BeforeConsent != BeforeConsentNothing || s.RetentionMonths != 25 || len(s.proxies) != 2 {
		t.Errorf("the first settings: %+v, %v", s, err)
	}
	if s, err := ParseSettings([]byte("sites: [a.example]")); err != nil || s.Listen != DefaultListen || s.BeforeConsent != BeforeConsentNothing {
		t.Errorf("only what is needed: %+v, %v", s, err)
	}
	for _, text := range []string{
		"", "sites: []", "sites: [a.example]\nsite: b", "sites: [https://a.example]", "sites: ['*.a.example']", "sites: [a.example]\nlisten: 8420",
		"sites: [a.example]\nbefore_consent: all", "sites: [a.example]\nretention_months: 0", "sites: [a.example]\ntrusted_proxies: [proxy]",
		"sites: [a.example]\ntls: {certificate: /nowhere, key: /nowhere}", "sites: [a.example]\nrequests_per_second: 0", "sites: [a.example]\nspool_mb: 1", "sites: [a.example]\nsites: [b.example]", "}{",
	} {
		if _, err := ParseSettings([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
