package collect

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"coulisse/node/warehouse"
)

// at is the server's clock of these tests.
var at = time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)

func batchOf(r record) warehouse.Batch {
	return warehouse.Batch{Events: r.Events, Consents: r.Consents, Links: r.Links}
}

// accepted is what a collector keeps of a body that was sent at the server's
// time.
func accepted(t *testing.T, before BeforeConsent, text string) (warehouse.Batch, Figures) {
	t.Helper()
	b, err := decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{sites: newSites([]string{"www.theatre.example"}), cfg: Config{Settings: Settings{BeforeConsent: before}}}
	v := visit{at: at, agent: readAgent(firefox), network: network(netip.MustParseAddr("203.0.113.77"))}
	kept, err := c.accept(b, v)
	if err != nil {
		t.Fatal(err)
	}
	return kept, Figures{Refused: Refused{Consent: c.counts.refused[refusedConsent], Minor: c.counts.refused[refusedMinor], Late: c.counts.refused[refusedLate]}}
}

// full is a body with one event that holds everything about somebody.
func fullText(consent, kind string) string {
	return fmt.Sprintf(`{"v":1,"sent":%[1]d,"visitor":"AAECAwQFBgcICQoLDA0ODw","consent":%[2]s,"events":[{"id":"AAAAAAAAAAAAAAAAAAAAAA","at":%[3]d,"type":%[4]q,
		"url":"https://www.theatre.example/billet/42?utm_source=infolettre&utm_medium=email&gclid=secret-click&courriel=claire@example.org#frag",
		"title":"Icare","referrer":"https://ami.example/claire?q=secret","language":"fr-CA","scroll":50,"engaged":1500,"target":"https://autre.example/x?secret",
		"value":"45,25","currency":"CAD","transaction":"C-1","items":[{"id":"i","price":45.25}],"props":{"salle":"Usine C"},
		"email":" Claire@Example.org ","phone":"(514) 555-0100","account":"A-77"}]}`, at.UnixMilli(), consent, at.Add(-time.Minute).UnixMilli(), kind)
}

func TestWithConsent(t *testing.T) {
	kept, _ := accepted(t, BeforeConsentNothing, fullText(`{"analytics":"granted","pooling":"granted","advertising":"denied"}`, "identify"))
	visitor := warehouse.VisitorID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	when := at.Add(-time.Minute)
	want := warehouse.Batch{
		Events: []warehouse.Event{{
			At: when, Visitor: visitor, Kind: "identify", Host: "www.theatre.example", Path: "/billet/42", Title: "Icare",
			ReferrerHost: "ami.example", ReferrerPath: "/claire", Source: "infolettre", Medium: "email", Click: "gclid", Channel: "Email",
			Language: "fr-CA", Device: "desktop", Browser: "Firefox", System: "Linux", Network: "203.0.113.0/24", Target: "autre.example/x",
			Scroll: 50, Engaged: 1500 * time.Millisecond, Order: "C-1", Cents: 4525, Currency: "CAD",
			Items: []warehouse.Item{{ID: "i", Cents: 4525, Quantity: 1}}, Properties: map[string]string{"salle": "Usine C"},
		}},
		Consents: []warehouse.Consent{
			{Visitor: visitor, At: at, Purpose: "analytics", Granted: true},
			{Visitor: visitor, At: at, Purpose: "advertising"},
			{Visitor: visitor, At: at, Purpose: "pooling", Granted: true},
		},
		Links: []warehouse.Link{
			{Visitor: visitor, At: when, Kind: "email", Value: "claire@example.org"},
			{Visitor: visitor, At: when, Kind: "phone", Value: "+15145550100"},
			{Visitor: visitor, At: when, Kind: "account", Value: "A-77"},
		},
	}
	if !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %+v\nwant %+v", kept, want)
	}
	if kept, _ := accepted(t, BeforeConsentNothing, fullText(`{"analytics":"granted"}`, "page_view")); len(kept.Links) != 0 {
		t.Error("an event that identifies nobody made a link")
	}
}

func TestConsentIsEnforced(t *testing.T) {
	says := func(kept warehouse.Batch) (said []string) {
		for _, c := range kept.Consents {
			word := "no "
			if c.Granted {
				word = "yes "
			}
			said = append(said, word+c.Purpose)
		}
		return said
	}
	all := `"analytics":"granted","advertising":"granted","personalisation":"granted","pooling":"granted"`
	for name, c := range map[string]struct {
		consent  string
		before   BeforeConsent
		events   int
		visitor  bool
		links    int
		consents []string
		refused  Refused
	}{
		"nothing said":             {`{}`, BeforeConsentNothing, 0, false, 0, nil, Refused{Consent: 1}},
		"nothing said, counted":    {`{}`, BeforeConsentCounts, 1, false, 0, nil, Refused{}},
		"unset":                    {`{"analytics":"unset"}`, BeforeConsentNothing, 0, false, 0, nil, Refused{Consent: 1}},
		"withdrawn":                {`{"analytics":"denied"}`, BeforeConsentNothing, 0, false, 0, []string{"no analytics"}, Refused{Consent: 1}},
		"withdrawn, counted":       {`{"analytics":"denied"}`, BeforeConsentCounts, 1, false, 0, []string{"no analytics"}, Refused{}},
		"pooling alone":            {`{"pooling":"granted"}`, BeforeConsentNothing, 0, false, 0, []string{"yes pooling"}, Refused{Consent: 1}},
		"all":                      {`{` + all + `}`, BeforeConsentNothing, 1, true, 3, []string{"yes analytics", "yes advertising", "yes personalisation", "yes pooling"}, Refused{}},
		"global privacy control":   {`{` + all + `,"gpc":true}`, BeforeConsentNothing, 1, true, 3, []string{"yes analytics", "no advertising", "no personalisation", "no pooling"}, Refused{}},
		"unreadable GPP string":    {`{` + all + `,"gpp":"nonsense"}`, BeforeConsentNothing, 0, false, 0, []string{"no analytics", "no advertising", "no personalisation", "no pooling"}, Refused{Consent: 1}},
		"under 14":                 {`{` + all + `,"minor":true}`, BeforeConsentNothing, 0, false, 0, nil, Refused{Minor: 1}},
		"under 14, with counts":    {`{` + all + `,"minor":true}`, BeforeConsentCounts, 0, false, 0, nil, Refused{Minor: 1}},
		"not under 14, no control": {`{` + all + `,"minor":false,"gpc":false}`, BeforeConsentNothing, 1, true, 3, []string{"yes analytics", "yes advertising", "yes personalisation", "yes pooling"}, Refused{}},
	} {
		t.Run(name, func(t *testing.T) {
			kept, f := accepted(t, c.before, fullText(c.consent, "identify"))
			if len(kept.Events) != c.events || len(kept.Links) != c.links || !slices.Equal(says(kept), c.consents) || f.Refused != c.refused {
				t.Errorf("%d events, %d links, %q, %+v", len(kept.Events), len(kept.Links), says(kept), f.Refused)
			}
			if c.events == 1 && (kept.Events[0].Visitor != warehouse.VisitorID{}) != c.visitor {
				t.Error("whose event it is")
			}
		})
	}
}

// An event that is only counted holds nothing that leads to anybody: exactly
// this.
func TestCounted(t *testing.T) {
	kept, _ := accepted(t, BeforeConsentCounts, fullText(`{}`, "purchase"))
	want := warehouse.Event{
		At: at.Add(-time.Minute), Kind: "purchase", Host: "www.theatre.example", Path: "/billet/42", Title: "Icare", ReferrerHost: "ami.example",
		Channel: "Referral", Device: "desktop", Browser: "Firefox", System: "Linux", Scroll: 50, Engaged: 1500 * time.Millisecond,
	}
	if len(kept.Events) != 1 || !reflect.DeepEqual(kept.Events[0], want) || kept.Consents != nil || kept.Links != nil {
		t.Errorf("kept %+v\nwant %+v", kept, want)
	}
}

// The browser's clock is wrong by as much as it was when it sent.
func TestClocks(t *testing.T) {
	hour := time.Hour.Milliseconds()
	for name, c := range map[string]struct {
		sent, event int64
		want        time.Duration
	}{
		"right":                {at.UnixMilli(), at.UnixMilli() - 5000, 5 * time.Second},
		"an hour ahead":        {at.UnixMilli() + hour, at.UnixMilli() + hour - 5000, 5 * time.Second},
		"years behind":         {1000, 0, time.Second},
		"after it was sent":    {at.UnixMilli(), at.UnixMilli() + hour, 0},
		"six days in a drawer": {at.UnixMilli(), at.UnixMilli() - 6*24*hour, 6 * 24 * time.Hour},
		"since 1970":           {maxTime, 0, maxAnswerAge + time.Millisecond},
	} {
		if got := at.Sub(corrected(at, c.sent, c.event)); got != c.want {
			t.Errorf("%s: %v before now, want %v", name, got, c.want)
		}
	}
	late := fmt.Sprintf(`{"v":1,"sent":%d,"consent":{"analytics":"granted"},"events":[{"id":"AAAAAAAAAAAAAAAAAAAAAA","at":%d,"type":"page_view","url":"https://www.theatre.example/"}]}`, at.UnixMilli(), at.UnixMilli()-8*24*hour)
	if kept, f := accepted(t, BeforeConsentNothing, late); len(kept.Events) != 0 || f.Refused.Late != 1 {
		t.Errorf("an event of eight days ago: %+v, %+v", kept.Events, f.Refused)
	}
}

func TestPage(t *testing.T) {
	for link, want := range map[string]page{
		"https://WWW.Theatre.example":                              {host: "www.theatre.example", path: "/"},
		"https://a.example:8443/b%20c?x#y":                         {host: "a.example", path: "/b c"},
		"https://claire:secret@a.example/":                         {host: "a.example", path: "/"},
		"https://a.example/?utm_source=A%26B&utm_term=%ff&utm_x=1": {host: "a.example", path: "/", campaign: campaign{source: "A&B"}},
		"https://a.example/?gclid=1&fbclid=2&msclkid=":             {host: "a.example", path: "/", campaign: campaign{click: "gclid"}},
		"https://a.example/a%0ab":                                  {host: "a.example", path: "/a b"},
		"javascript:alert(1)":                                      {},
		"https://":                                                 {},
		"mailto:claire@example.org":                                {},
	} {
		if got, ok := readPage(link); got != want || ok != (want.host != "") {
			t.Errorf("%s: %+v, %v", link, got, ok)
		}
	}
}

func TestAgents(t *testing.T) {
	for userAgent, want := range map[string]agent{
		"":       {bot: true},
		firefox:  {false, "desktop", "Firefox", "Linux"},
		"curl/8": {bot: true},
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                                                       {bot: true},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                                                {false, "desktop", "Chrome", "Windows"},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0":                                  {false, "desktop", "Edge", "Windows"},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                                          {false, "desktop", "Safari", "macOS"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1":                        {false, "mobile", "Safari", "iOS"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.0.0 Mobile/15E148 Safari/604.1":                     {false, "mobile", "Chrome", "iOS"},
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36":                                                {false, "mobile", "Chrome", "Android"},
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                                                       {false, "tablet", "Chrome", "Android"},
		"Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36":                     {false, "mobile", "Samsung Internet", "Android"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/480.0.0.31.106;FBDV/iPhone15,2]": {false, "mobile", "Facebook", "iOS"},
		"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1":                                 {false, "tablet", "Safari", "iOS"},
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                                                 {false, "desktop", "Chrome", "ChromeOS"},
		"Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager":                                     {false, "tv", "Chrome", "webOS"},
	} {
		if got := newAgents().read(userAgent); got != want {
			t.Errorf("%s: %+v, want %+v", userAgent, got, want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for literal, want := range map[string]int64{
		"12.34": 1234, "12.345": 1235, "-12.345": -1235, "0.005": 1, "0.0049": 0, "1e3": 100_000, "1.5E-1": 15, "0": 0, "-0": 0,
		"0.30000000000000004": 30, "59.98999999999999": 5999, "1e-999999999999999999999": 0, "100000000000000": 10_000_000_000_000_000,
	} {
		if got, _, ok := decimal(literal, 2); got != want || !ok {
			t.Errorf("%s: %d, %v, want %d", literal, got, ok, want)
		}
	}
	for _, literal := range []string{"1e17", "1e999999999999999999999", "12345678901234567890"} {
		if got, _, ok := decimal(literal, 2); ok {
			t.Errorf("%s: %d", literal, got)
		}
	}
}
