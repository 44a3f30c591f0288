package tag_test

import (
	"regexp"
	"testing"
)

// visit opens a page of a new site in a new browser.
func visit(t *testing.T, policy, tag string) (*intake, *site, *tab) {
	t.Helper()
	in := newIntake(t)
	s := newSite(t, in.URL, policy, tag)
	b := newTab(t, in)
	b.open(s.URL + "/")
	return in, s, b
}

// Guards the whole visit of somebody who agrees, under a policy that lets only a
// nonce through: several pages, a page that changes without loading, links out and to
// files, a purchase from the data layer; everything once, nothing else.
func TestVisit(t *testing.T) {
	in, s, b := visit(t, byNonce, pasted)
	b.ready()
	if ask[bool](b, "'inlined' in window") {
		t.Fatal("the policy is not in force")
	}
	if got := b.storage(); got != empty {
		t.Errorf("stored before consent: %s", got)
	}
	b.want()
	b.click("accept")
	want := []string{"somebody page_view /", "somebody consent /"}
	b.want(want...)
	b.click("next")
	b.click("away")
	b.click("file")
	want = append(want, "somebody page_view /suite?page=2",
		"somebody outbound_click /suite?page=2 http://ailleurs.invalid/la-danse?ref=1",
		"somebody file_download /suite?page=2 "+s.URL+"/programme.pdf")
	b.want(want...)
	b.run("history.back()")
	want = append(want, "somebody page_view /")
	b.want(want...)
	b.open(s.URL + "/billets?utm_source=infolettre&utm_medium=email")
	b.ready()
	b.click("buy")
	want = append(want, "somebody page_view /billets?utm_source=infolettre&utm_medium=email",
		"somebody purchase /billets?utm_source=infolettre&utm_medium=email T-1001 CAD 84.5 S-12×2")
	b.want(want...)
	b.open(s.URL + "/vide")
	b.want(want...)

	first, second, last := in.find("page_view", 0), in.find("page_view", 1), in.find("page_view", 3)
	if first.Title != "Page /" || second.Title != "La suite" || last.Title != "Page /billets" {
		t.Errorf("titles: %q, %q, %q", first.Title, second.Title, last.Title)
	}
	if first.Referrer != "" || second.Referrer != s.URL+"/" || first.Language == "" {
		t.Errorf("page views: %+v, %+v", first, second)
	}
	for _, id := range []string{first.ID, first.batch.Visitor} {
		if !regexp.MustCompile(`^[\w-]{22}$`).MatchString(id) {
			t.Errorf("identifier %q is not 22 characters of base64url", id)
		}
	}
	if first.batch.Visitor != last.batch.Visitor {
		t.Error("a visitor has two identifiers")
	}
	c := first.batch.Consent
	if c.Analytics != "granted" || c.Advertising != "granted" || c.Personalisation != "granted" ||
		c.Pooling != "unset" || c.Proof != "gcm" || c.At == 0 || c.At != last.batch.Consent.At {
		t.Errorf("consent: %+v", c)
	}
}

// Guards what is another page and what is not, in a site that does not load them.
func TestRoutes(t *testing.T) {
	_, _, b := visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	want := []string{"somebody page_view /", "somebody consent /"}
	b.want(want...)
	b.run(`history.replaceState({a: 1}, ""); history.pushState({}, "", "#ancre")`)
	b.want(want...)
	b.run(`history.replaceState({}, "", "/fr")`)
	want = append(want, "somebody page_view /fr")
	b.want(want...)
	b.run(`location.hash = "#/salle/2"`)
	want = append(want, "somebody page_view /fr#/salle/2")
	b.want(want...)
	// As a browser says that it shows a page that it had kept.
	b.run(`dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`)
	b.want(append(want, "somebody page_view /fr#/salle/2")...)
}

// Guards that a site does not need the tag: neither when the file is not to be had nor
// when the policy or a blocker forbids it.
func TestBlocked(t *testing.T) {
	for name, how := range map[string]struct{ policy, tag string }{
		"missing":  {byHost, `<script async src="NODE/absent/c.js"></script>`},
		"policy":   {"default-src 'none'; script-src 'self'", pasted},
		"sending":  {"default-src 'none'; script-src 'self' NODE", pasted},
		"no host":  {byHost, `<script async src="http://absent.invalid/c.js"></script>`},
		"not text": {byHost, `<script async src="NODE/"></script>`},
	} {
		t.Run(name, func(t *testing.T) {
			_, s, b := visit(t, how.policy, how.tag)
			b.before(`window.failures = []; addEventListener("error", (e) => e.message && failures.push(e.message))`)
			b.open(s.URL + "/billets")
			b.click("accept")
			b.click("buy")
			b.click("next")
			b.run(`coulisse("event", "essai", {a: 1})`)
			if bought := ask[string](b, "document.body.dataset.bought + location.pathname + failures"); bought != "yes/suite" {
				t.Errorf("the site: %s", bought)
			}
			b.in.until("nothing", func() bool { return len(b.in.events) == 0 })
		})
	}
}
