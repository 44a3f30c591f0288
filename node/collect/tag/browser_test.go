package tag_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// agent hides that the browser is headless, which bot lists know.
const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

var chromium = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(
		chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserAgent(agent),
		chromedp.NoSandbox, // tests run as root in a container
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)...)
	ctx, end := chromedp.NewContext(ctx)
	closing = func() {
		end()
		stop()
	}
	return ctx, chromedp.Do(ctx)
})

var closing = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closing()
	os.Exit(code)
}

// site is a member's site, under a policy that lets nothing run but its own script
// and the tag.
type site struct {
	*httptest.Server
	policy string // Content-Security-Policy, with NODE for its address
	tag    string // the element that loads the tag, with NODE for its address
}

const (
	byHost  = "default-src 'none'; script-src 'self' NODE; connect-src NODE"
	byNonce = "default-src 'none'; script-src 'nonce-cafe'; connect-src NODE"
	pasted  = `<script async nonce="cafe" src="NODE/c.js"></script>`
)

const document = `<!doctype html>
<html lang="fr"><meta charset="utf-8"><title>Page %[1]s</title>
<script>window.inlined = true</script>
<script nonce="cafe" src="/site.js"></script>
%[2]s
<body>
<button id="accept">Accepter</button> <button id="refuse">Refuser</button>
<button id="buy">Acheter</button> <button id="next">Suite</button>
<a id="away" href="http://ailleurs.invalid/la-danse?ref=1#haut" target="_blank">Ailleurs</a>
<a id="file" href="/programme.pdf" target="_blank">Programme</a>
</body></html>`

func newSite(t *testing.T, node, policy, tag string) *site {
	t.Helper()
	script, err := os.ReadFile("testdata/site.js")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{policy: policy, tag: tag}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/favicon.ico", "/programme.pdf":
			w.WriteHeader(http.StatusNoContent)
		case "/site.js":
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			w.Write(script)
		default:
			w.Header().Set("Content-Security-Policy", strings.ReplaceAll(s.policy, "NODE", node))
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			tag := strings.ReplaceAll(s.tag, "NODE", node)
			if r.URL.Path == "/vide" {
				tag = ""
			}
			fmt.Fprintf(w, document, r.URL.Path, tag)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// tab is a window of a new browser profile: nothing is stored in it.
type tab struct {
	t   *testing.T
	ctx context.Context
	in  *intake
	n   int
}

func newTab(t *testing.T, in *intake) *tab {
	t.Helper()
	root, err := chromium()
	if err != nil {
		t.Skipf("NO BROWSER, NOT TESTED: %v (apt-get install chromium)", err)
	}
	ctx, end := chromedp.NewContext(root, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(stop)
	return &tab{t: t, ctx: ctx, in: in}
}

// another is a second tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, end := chromedp.NewContext(b.ctx)
	b.t.Cleanup(end)
	return &tab{t: b.t, ctx: ctx, in: b.in}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// before has every page of the tab run something first, as a browser's own setting.
func (b *tab) before(script string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(url string)   { b.t.Helper(); b.do(chromedp.Navigate(url)) }
func (b *tab) click(id string)   { b.t.Helper(); b.do(chromedp.Click(chromedp.ID(id))) }
func (b *tab) run(script string) { b.t.Helper(); b.do(chromedp.Evaluate[chromedp.Void](script)) }

func ask[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// ready waits for the tag.
func (b *tab) ready() {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](`!!(window.coulisse && coulisse.ready)`)); err != nil {
		b.t.Fatalf("the tag did not start: %v", err)
	}
}

// storage is all that the site has in this browser, but for its own cookie.
func (b *tab) storage() string {
	b.t.Helper()
	return ask[string](b, `(async () => JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) +
		document.cookie.replace(/cmp=\w+/, '') + (await indexedDB.databases()).length + (window.caches ? (await caches.keys()).length : 0))()`)
}

const empty = "{}{}00"

// offline cuts the page off from every network, or connects it again.
func (b *tab) offline(cut bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: cut, DownloadThroughput: -1, UploadThroughput: -1}},
	}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := chromedp.Call(b.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		Offline: cut, DownloadThroughput: -1, UploadThroughput: -1,
	}); err != nil {
		b.t.Fatal(err)
	}
}

// want says exactly what is kept once all that was wanted has come.
func (b *tab) want(events ...string) {
	b.t.Helper()
	b.in.until(fmt.Sprint(events), func() bool {
		n := 0
		for _, e := range b.in.events {
			if e.Type != "engagement" {
				n++
			}
		}
		return n >= len(events)
	})
	// Whatever was sent before this has come, or will be seen by the next want.
	b.n++
	b.run(fmt.Sprintf(`navigator.sendBeacon(%q)`, fmt.Sprintf("%s/seen/%d", b.in.URL, b.n)))
	b.in.until("the sentinel", func() bool { return b.in.seen[fmt.Sprint(b.n)] })
	if kept := b.in.kept(); !slices.Equal(kept, events) {
		b.t.Errorf("kept\n%q\nwant\n%q", kept, events)
	}
}
