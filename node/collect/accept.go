package collect

import (
	"net/netip"
	"strings"
	"time"

	"coulisse/node/collect/channel"
	"coulisse/node/identity"
	"coulisse/node/warehouse"
)

// What is kept of a request, and under which consent.

// Bounds on what a browser's clock may say of the past. An older event was kept
// by the tag for longer than it should; an older answer has to be asked again.
const (
	maxAge       = 7 * 24 * time.Hour
	maxAnswerAge = 400 * 24 * time.Hour
)

// visit is what the server itself knows of a request.
type visit struct {
	at      time.Time
	agent   agent
	network netip.Prefix
}

// accept makes of a request what may be kept, and counts what may not. It is
// empty if nothing may.
func (c *Collector) accept(b body, v visit) (warehouse.Batch, error) {
	var kept warehouse.Batch
	if b.consent.minor {
		c.counts.refuse(refusedMinor, len(b.events))
		return kept, nil
	}
	given := b.consent.enforced()
	measured := given[analytics] == granted
	counts := c.cfg.Settings.BeforeConsent == BeforeConsentCounts
	for _, e := range b.events {
		event, err := c.event(e, b.sent, v)
		switch {
		case err != nil:
			return warehouse.Batch{}, err
		case v.at.Sub(event.At) > maxAge:
			c.counts.refuse(refusedLate, 1)
			continue
		case !measured && counts:
			kept.Events = append(kept.Events, counted(event))
			continue
		case !measured:
			c.counts.refuse(refusedConsent, 1)
			continue
		}
		event.Visitor = b.visitor
		kept.Events = append(kept.Events, event)
		if b.visitor != (warehouse.VisitorID{}) && e.kind == kindIdentify {
			kept.Links = appendLinks(kept.Links, b.visitor, event.At, e)
		}
	}
	kept.Consents = b.answers(given, v.at)
	return kept, nil
}

// enforced are the answers by which the server goes: what was not granted in so
// many words is not, and a browser's own signal outweighs a banner.
func (a answers) enforced() [len(purposes)]answer {
	given := a.given
	if a.gpc {
		given[advertising], given[personalisation], given[pooling] = denied, denied, denied
	}
	for purpose, out := range optedOut(a.gpp) {
		if out {
			given[purpose] = denied
		}
	}
	return given
}

// answers are what the visitor said, to be kept. Of somebody without an
// identifier nothing can be: there is nobody to keep it of.
func (b body) answers(given [len(purposes)]answer, now time.Time) (said []warehouse.Consent) {
	if b.visitor == (warehouse.VisitorID{}) {
		return nil
	}
	at := now
	if b.consent.at > 0 {
		at = corrected(now, b.sent, b.consent.at)
	}
	if now.Sub(at) > maxAnswerAge {
		return nil
	}
	proof := clean(b.consent.proof, 100)
	if b.consent.gpp != "" {
		proof = strings.TrimSpace(proof + " gpp:" + clean(b.consent.gpp, 4096))
	}
	if b.consent.gpc {
		proof = strings.TrimSpace(proof + " gpc")
	}
	for i, purpose := range purposes {
		if given[i] != unset {
			said = append(said, warehouse.Consent{Visitor: b.visitor, At: at, Purpose: purpose, Granted: given[i] == granted, Proof: proof})
		}
	}
	return said
}

// corrected is an instant of the browser's clock by the server's: as long before
// now as it was before the request was sent.
func corrected(now time.Time, sent, at int64) time.Time {
	ago := max(0, sent-at)
	return now.Add(-time.Duration(min(ago, int64(maxAnswerAge/time.Millisecond)+1)) * time.Millisecond)
}

// event strips an event of what is kept of nobody.
func (c *Collector) event(e event, sent int64, v visit) (warehouse.Event, error) {
	at, ok := readPage(e.url)
	if !ok || !c.sites[at.host] {
		return warehouse.Event{}, errSite
	}
	from, _ := readPage(e.referrer)
	target, _ := readPage(e.target)
	internal := c.sites[from.host]
	came := channel.Visit{Source: at.campaign.source, Medium: at.campaign.medium, Campaign: at.campaign.name, Click: at.campaign.click}
	if !internal {
		came.Referrer = from.host
	}
	return warehouse.Event{
		ID: e.id, At: corrected(v.at, sent, e.at), Kind: e.kind, Name: clean(e.name, maxValue),
		Host: at.host, Path: at.path, Title: clean(e.title, maxPath),
		ReferrerHost: from.host, ReferrerPath: from.path,
		Source: at.campaign.source, Medium: at.campaign.medium, Campaign: at.campaign.name,
		Term: at.campaign.term, Content: at.campaign.content, Click: at.campaign.click,
		Channel: string(came.Of()), Internal: internal,
		Language: clean(e.language, maxValue), Device: v.agent.device, Browser: v.agent.browser, System: v.agent.system,
		Network: v.network.String(), Target: target.host + target.path,
		Scroll: e.scroll, Engaged: time.Duration(e.engaged) * time.Millisecond,
		Order: clean(e.transaction, maxValue), Cents: e.cents, Currency: e.currency, Items: e.items, Properties: e.props,
	}, nil
}

// counted is what an event leaves in the figures if its visitor has not agreed
// to be measured: that it happened, on which page. Nothing ties two of them
// together, and the channel follows from the referring site alone.
func counted(e warehouse.Event) warehouse.Event {
	came := channel.Visit{}
	if !e.Internal {
		came.Referrer = e.ReferrerHost
	}
	return warehouse.Event{
		ID: e.ID, At: e.At, Kind: e.Kind, Name: e.Name, Host: e.Host, Path: e.Path, Title: e.Title,
		ReferrerHost: e.ReferrerHost, Channel: string(came.Of()), Internal: e.Internal,
		Device: e.Device, Browser: e.Browser, System: e.System, Scroll: e.Scroll, Engaged: e.Engaged,
	}
}

// appendLinks adds what a visitor declared to be, by norm/1. What it refuses is
// nobody's, and is not kept.
func appendLinks(links []warehouse.Link, who warehouse.VisitorID, at time.Time, e event) []warehouse.Link {
	if id, err := identity.Email(e.email); err == nil {
		links = append(links, warehouse.Link{Visitor: who, At: at, Kind: string(id.Kind), Value: id.Reveal()})
	}
	if id, err := identity.Phone(e.phone, phoneRegion); err == nil {
		links = append(links, warehouse.Link{Visitor: who, At: at, Kind: string(id.Kind), Value: id.Reveal()})
	}
	if account := clean(e.account, maxValue); account != "" {
		links = append(links, warehouse.Link{Visitor: who, At: at, Kind: "account", Value: account})
	}
	return links
}

// phoneRegion is where a number without a country code is from, as imports have
// it.
const phoneRegion = "CA"
