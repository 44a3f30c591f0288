package tag_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Guards that a refusal is one, on this page and on the next.
func TestRefused(t *testing.T) {
	_, s, b := visit(t, byHost, pasted)
	b.ready()
	b.click("refuse")
	b.click("next")
	b.click("buy")
	b.click("away")
	b.open(s.URL + "/autre")
	b.ready()
	b.click("buy")
	b.run(`coulisse("identify", {email: "a@example.com"})`)
	if got := b.storage(); got != empty {
		t.Errorf("stored after a refusal: %s", got)
	}
	b.click("accept") // what happened while it was refused stays untold
	b.want("somebody consent /autre")
	b.open(s.URL + "/vide")
	b.want("somebody consent /autre")
}

// Guards that withdrawing forgets at once and is told once, and that agreeing again
// makes another visitor.
func TestWithdrawn(t *testing.T) {
	in, s, b := visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	b.click("refuse")
	if got := b.storage(); got != empty {
		t.Errorf("stored after withdrawal: %s", got)
	}
	b.click("buy")
	b.click("next")
	b.want("somebody page_view /", "somebody consent /", "somebody consent /")
	was := in.find("consent", 1)
	if was.batch.Visitor != in.find("consent", 0).batch.Visitor || was.batch.Consent.Analytics+was.batch.Consent.Pooling != "denieddenied" {
		t.Errorf("the withdrawal is not the visitor's: %+v", was.batch)
	}
	b.open(s.URL + "/autre")
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /", "somebody consent /", "somebody consent /autre")
	if in.find("consent", 2).batch.Visitor == was.batch.Visitor {
		t.Error("the visitor who withdrew was recognised")
	}
}

// Guards that the site's other tabs forget too.
func TestWithdrawnInAnotherTab(t *testing.T) {
	_, s, b := visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	other := b.another()
	other.open(s.URL + "/autre")
	other.ready()
	other.want("somebody page_view /", "somebody consent /", "somebody page_view /autre")
	other.click("refuse")
	want := []string{"somebody page_view /", "somebody consent /", "somebody page_view /autre", "somebody consent /autre"}
	other.want(want...)
	b.run(`buttons.buy()`)
	b.open(s.URL + "/vide")
	b.want(want...)
	if got := b.storage(); got != empty {
		t.Errorf("stored after withdrawal: %s", got)
	}
}

// Guards that somebody who withdrew on a page that has no tag is forgotten on the next
// that has.
func TestWithdrawnElsewhere(t *testing.T) {
	_, s, b := visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	b.run(`document.cookie = "cmp=denied;path=/"`)
	b.open(s.URL + "/autre")
	b.ready()
	b.want("somebody page_view /", "somebody consent /", "somebody consent /autre")
	if got := b.storage(); got != empty {
		t.Errorf("stored after withdrawal: %s", got)
	}
}

const counting = `<script async nonce="cafe" src="NODE/c.js" data-before-consent="counts"></script>`

// Guards what a house that counts without consent gets: page views that are nobody's,
// without what could tell somebody, when the page is left unanswered; and nothing of
// somebody who refused.
func TestCounts(t *testing.T) {
	in, s, b := visit(t, byHost, counting)
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Evaluate[chromedp.Void](
		`location.href = "/billets?utm_source=infolettre&courriel=a@example.com#x"`)); err != nil {
		t.Fatal(err)
	}
	b.ready()
	b.want("nobody page_view /")
	b.click("buy")
	b.click("away")
	b.run(`coulisse("identify", {email: "a@example.com"}); coulisse("event", "essai")`)
	b.open(s.URL + "/vide")
	b.want("nobody page_view /", "nobody page_view /billets")
	e := in.find("page_view", 1)
	if e.Language != "" || e.Referrer != s.URL || e.Title != "Page /billets" {
		t.Errorf("counted with %+v", e)
	}
	if got := b.storage(); got != empty {
		t.Errorf("stored before consent: %s", got)
	}
	b.open(s.URL + "/autre")
	b.ready()
	b.click("refuse")
	b.open(s.URL + "/vide")
	b.want("nobody page_view /", "nobody page_view /billets")
}

// Guards that a count becomes a visit if the visitor agrees before leaving.
func TestCountedThenGranted(t *testing.T) {
	in, s, b := visit(t, byHost, `<script async src="NODE/c.js?before-consent=counts"></script>`)
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	b.open(s.URL + "/vide")
	b.want("somebody page_view /", "somebody consent /")
	if in.find("page_view", 0).Language == "" {
		t.Error("a visit is told as if it were counted")
	}
}

// Guards that nothing at all happens for a child, however it is said.
func TestMinor(t *testing.T) {
	_, s, b := visit(t, byHost, `<script async src="NODE/c.js" data-minor data-before-consent="counts"></script>`)
	b.ready()
	b.click("accept")
	b.click("buy")
	b.open(s.URL + "/vide")
	b.want()

	_, s, b = visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	b.run(`coulisse("minor")`)
	b.click("buy")
	b.click("next")
	if got := b.storage(); got != empty {
		t.Errorf("stored of a child: %s", got)
	}
	b.open(s.URL + "/vide")
	b.want("somebody page_view /", "somebody consent /")
}

// Guards that a browser that says no to sharing is heard over a click on "accept".
func TestGlobalPrivacyControl(t *testing.T) {
	in := newIntake(t)
	s := newSite(t, in.URL, byHost, pasted)
	b := newTab(t, in)
	b.before(`Object.defineProperty(Navigator.prototype, "globalPrivacyControl", {value: true})`)
	b.open(s.URL + "/")
	b.ready()
	b.run(`coulisse("consent", {analytics: true, advertising: true, personalisation: "granted", pooling: true, proof: "Axeptio"})`)
	b.want("somebody page_view /", "somebody consent /")
	c := in.find("consent", 0).batch.Consent
	if c.Analytics != "granted" || c.Advertising+c.Personalisation+c.Pooling != "denieddenieddenied" || !c.GPC || c.Proof != "Axeptio" {
		t.Errorf("consent: %+v", c)
	}
}

// Guards that the IAB's string is passed on as the consent tool gives it.
func TestGPP(t *testing.T) {
	in := newIntake(t)
	s := newSite(t, in.URL, byHost, pasted)
	b := newTab(t, in)
	b.before(`window.__gpp = (command, then) => command == "addEventListener" &&
		then({eventName: "signalStatus", listenerId: 1, data: "ready", pingData: {gppString: "DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN"}}, true)`)
	b.open(s.URL + "/")
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	if c := in.find("consent", 0).batch.Consent; c.GPP != "DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN" {
		t.Errorf("consent: %+v", c)
	}
}

// Guards what Consent Mode's signals are taken for: the least.
func TestConsentMode(t *testing.T) {
	in, s, b := visit(t, byHost, pasted)
	for path, c := range map[string]struct{ update, want string }{
		"/a": {`{analytics_storage: "granted"}`, "granted unset unset unset"},
		"/b": {`{analytics_storage: "granted", ad_storage: "granted"}`, "granted denied unset unset"},
		"/c": {`{analytics_storage: "granted", ad_storage: "granted", ad_user_data: "denied"}`, "granted denied unset unset"},
		"/d": {`{analytics_storage: "granted", ad_storage: "denied", ad_user_data: "granted"}`, "granted denied unset unset"},
		"/e": {`{analytics_storage: "granted", ad_storage: "granted", ad_user_data: "granted", ad_personalization: "granted"}`, "granted granted granted unset"},
		"/f": {`{analytics_storage: "granted", functionality_storage: "granted", ad_personalization: "denied"}`, "granted unset denied unset"},
	} {
		b.run(`localStorage.clear()`)
		b.open(s.URL + path)
		b.ready()
		b.run(`gtag("consent", "update", ` + c.update + `)`)
		var said string
		in.until(path, func() bool {
			for _, e := range in.events {
				if e.Type == "consent" && strings.HasSuffix(e.URL, path) {
					a := e.batch.Consent
					said = strings.Join([]string{a.Analytics, a.Advertising, a.Personalisation, a.Pooling}, " ")
				}
			}
			return said != ""
		})
		if said != c.want {
			t.Errorf("%s is %s, want %s", c.update, said, c.want)
		}
	}
}

// Guards that an answer holds on pages where it is not asked again, that a new answer
// is told, and that default settings are nobody's answer.
func TestAnswersStay(t *testing.T) {
	in, s, b := visit(t, byHost, pasted)
	b.ready()
	b.run(`gtag("consent", "default", four("granted"))`)
	b.want()
	b.run(`coulisse("consent", {analytics: true, pooling: true})`)
	b.want("somebody page_view /", "somebody consent /")
	b.open(s.URL + "/autre")
	b.ready()
	b.run(`gtag("consent", "update", {analytics_storage: "granted"})`)
	b.want("somebody page_view /", "somebody consent /", "somebody page_view /autre")
	first, second := in.find("consent", 0).batch.Consent, in.find("page_view", 1).batch.Consent
	if second.Pooling != "granted" || second.At != first.At {
		t.Errorf("first %+v, then %+v", first, second)
	}
	b.run(`coulisse("consent", {pooling: false})`)
	b.want("somebody page_view /", "somebody consent /", "somebody page_view /autre", "somebody consent /autre")
	if c := in.find("consent", 1).batch.Consent; c.Pooling != "denied" || c.Analytics != "granted" || c.At <= first.At {
		t.Errorf("then %+v", c)
	}
}

// Guards that a visitor is another one after 13 months, however often they come.
func TestRotation(t *testing.T) {
	in, s, b := visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	b.want("somebody page_view /", "somebody consent /")
	first := in.find("page_view", 0).batch.Visitor
	age := `(days) => { const v = JSON.parse(localStorage.coulisse); v.born = Date.now() - days * 864e5;
		localStorage.coulisse = JSON.stringify(v); }`
	b.run(`(` + age + `)(394)`)
	b.open(s.URL + "/b")
	b.want("somebody page_view /", "somebody consent /", "somebody page_view /b")
	if in.find("page_view", 1).batch.Visitor != first {
		t.Error("another visitor before 13 months")
	}
	b.run(`coulisse("consent", {pooling: true})`)
	b.want("somebody page_view /", "somebody consent /", "somebody page_view /b", "somebody consent /b")
	if days := ask[float64](b, `(Date.now() - JSON.parse(localStorage.coulisse).born) / 864e5`); days < 394 {
		t.Errorf("the visitor's life was prolonged: born %v days ago", days)
	}
	b.run(`(` + age + `)(396)`)
	b.open(s.URL + "/c")
	b.want("somebody page_view /", "somebody consent /", "somebody page_view /b", "somebody consent /b",
		"somebody page_view /c", "somebody consent /c")
	if in.find("page_view", 2).batch.Visitor == first {
		t.Error("the same visitor after 13 months")
	}
}
