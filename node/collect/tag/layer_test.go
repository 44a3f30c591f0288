package tag_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// Guards the whole of GA4's trade vocabulary, in both ways in which sites write it,
// before the tag came and after, and that what is not trade is left alone.
func TestSales(t *testing.T) {
	in := newIntake(t)
	s := newSite(t, in.URL, byHost, pasted)
	b := newTab(t, in)
	b.before(`window.dataLayer = [{event: "view_item_list", ecommerce: {items: [{item_id: 1}, {item_id: 2}]}}, null, 3, "x"]`)
	b.open(s.URL + "/")
	b.ready()
	b.run(`
		gtag("event", "select_item", {items: [{item_id: "A", item_name: "Carmen", item_variant: "parterre", price: "12,50"}]});
		dataLayer.push({event: "scroll"}, {event: "gtm.dom"}, {event: "view_item", ecommerce: {currency: "CAD", value: 12.5, items: [{item_id: "A"}]}});
		dataLayer.push({event: "add_to_cart"}); // Tag Manager remembers the basket
		dataLayer.push({ecommerce: null});
		dataLayer.push({event: "remove_from_cart"});
		gtag("event", "begin_checkout", {value: "25.00", currency: "CAD"});
		gtag("event", "add_payment_info");
		gtag("event", "purchase", {transaction_id: 77, value: 25, currency: "CAD", items: [{item_id: "A", quantity: 2}]});
		gtag("event", "refund", {transaction_id: 77, value: 25, currency: "CAD"});
		gtag("event", "login", {method: "Google"});
		gtag("set", "user_data", {email: "a@example.com"});
	`)
	b.click("accept")
	b.want("somebody page_view /", "somebody view_item_list / 1×<nil> 2×<nil>",
		"somebody select_item / A×<nil>", "somebody view_item / CAD 12.5 A×<nil>",
		"somebody add_to_cart / CAD 12.5 A×<nil>", "somebody remove_from_cart /",
		"somebody begin_checkout / CAD 25.00", "somebody add_payment_info /",
		"somebody purchase / 77 CAD 25 A×2", "somebody refund / 77 CAD 25", "somebody consent /")
	if i := in.find("select_item", 0).Items[0]; i != (item{ID: "A", Name: "Carmen", Variant: "parterre", Price: "12,50"}) {
		t.Errorf("item: %+v", i)
	}
}

// Guards that whatever a site says, the tag neither breaks it nor sends what the
// intake would refuse.
func TestNonsense(t *testing.T) {
	in, _, b := visit(t, byHost, pasted)
	b.ready()
	b.run(`
		gtag("event", "purchase", {value: "12 $", currency: "dollars", transaction_id: {}, items: "none"});
		gtag("event", "purchase", {value: NaN, currency: "cad", items: [null]});
		gtag("event", "purchase", {value: 1e99, items: [{price: Infinity, quantity: -1.5, item_id: [], item_name: "n".repeat(1000)}]});
		gtag("event"); gtag(); gtag("consent"); gtag("consent", "update");
		dataLayer.push(undefined, {event: {}}, {ecommerce: 3, event: "purchase"}, []);
		coulisse(); coulisse("event"); coulisse("identify"); coulisse("consent"); coulisse("quoi", 1);
		coulisse("event", "essai", {"": 1, ["k".repeat(50)]: "v".repeat(600), o: {}, n: 1, b: true});
		coulisse("event", "x".repeat(99) + "🎭", {["k".repeat(39) + "🎭"]: "v".repeat(499) + "🎭"});
		history.pushState({}, "", "?" + "q".repeat(9000));
		document.title = "t".repeat(2000);
		window.survived = dataLayer.length;
	`)
	if n := ask[int](b, "survived"); n < 10 {
		t.Errorf("the data layer holds %d entries", n)
	}
	b.click("accept")
	b.run(`coulisse("event", "fin")`)
	in.until("the end", func() bool {
		return slices.ContainsFunc(in.events, func(e *event) bool { return e.Name == "fin" })
	})
	in.mu.Lock()
	events := slices.Clone(in.events)
	in.mu.Unlock()
	for _, e := range events {
		if len(e.URL) > 4096 || len([]rune(e.Title)) > 500 || len(e.Props) > 25 {
			t.Errorf("too long: %.200s", fmt.Sprint(e))
		}
	}
	for _, i := range in.find("purchase", 1).Items {
		if i.Price != nil || i.ID != "" || len(i.Name) != 500 {
			t.Errorf("item: %+v", i)
		}
	}
}

// Guards the site's own calls.
func TestCalls(t *testing.T) {
	in, _, b := visit(t, byHost, pasted)
	b.ready()
	b.run(`
		coulisse("event", "infolettre", {lieu: "pied de page", rang: 3});
		coulisse("identify", {email: "Ana@Example.com", phone: "514 555-0100", account: 4411, autre: "x"});
		coulisse("consent", {analytics: true});
		coulisse("consent", {analytics: true});
	`)
	b.want("somebody page_view /", "somebody custom / infolettre",
		"somebody identify / Ana@Example.com 514 555-0100 4411", "somebody consent /")
	b.once()
	if e := in.find("custom", 0); e.Props["lieu"] != "pied de page" || e.Props["rang"] != "3" {
		t.Errorf("custom event: %+v", e)
	}
}

// Guards a site that pastes the tag and has it from its tag manager as well.
func TestTwice(t *testing.T) {
	_, _, b := visit(t, byHost, pasted+"\n"+pasted)
	b.ready()
	b.click("accept")
	b.click("next")
	b.click("buy")
	b.want("somebody page_view /", "somebody consent /", "somebody page_view /suite?page=2",
		"somebody purchase /suite?page=2 T-1001 CAD 84.5 S-12×2")
}

// Guards what is told of how a page was read: how far, and for how long it was looked
// at.
func TestRead(t *testing.T) {
	in, s, b := visit(t, byHost, pasted)
	b.ready()
	b.click("accept")
	b.run(`const p = document.createElement("p"); document.body.append(p);
		p.style.height = (innerHeight * 4 - document.body.offsetHeight) + "px"; scrollTo(0, innerHeight);`)
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](`performance.now() > 2500`)); err != nil {
		t.Fatal(err)
	}
	b.open(s.URL + "/vide")
	b.want("somebody page_view /", "somebody consent /", "somebody scroll /")
	e := in.find("engagement", 0)
	if e.Engaged < 1000 || e.Engaged > 60000 {
		t.Errorf("engaged for %d ms", e.Engaged)
	}
	if e := in.find("scroll", 0); e.Scroll < 40 || e.Scroll > 75 {
		t.Errorf("scrolled to %d %%", e.Scroll)
	}
}
