package warehouse

import "time"

// VisitorID is a first-party identifier that the tag drew for one browser. The
// zero value says that none was allowed.
type VisitorID [16]byte

// EventID is drawn by the tag, so that an event sent twice is stored once.
type EventID [16]byte

// Event is one thing that happened on the member's site, checked and stripped
// of what may not be kept. Text that is not known is empty.
type Event struct {
	ID      EventID
	At      time.Time // UTC, by the server's clock
	Visitor VisitorID
	Kind    string // page_view, purchase…: one of package collect's, or "custom"
	Name    string // of a custom event
	// The page: host and path, without parameters, and its title.
	Host, Path, Title string
	// Where the visitor came from: host and path of the referring page, the
	// campaign's five parameters, which click identifier there was, and the
	// channel that follows from them.
	ReferrerHost, ReferrerPath              string
	Source, Medium, Campaign, Term, Content string
	Click                                   string // "gclid"; never its value
	Channel                                 string // by Google's default channel grouping
	// What read the page.
	Language, Device, Browser, System string
	Network                           string // of the address, 24 or 48 bits of it
	Target                            string // of an outbound click or a download
	Scroll                            int8   // percent
	Engaged                           time.Duration
	// Of a purchase or what leads to one.
	Order    string
	Cents    int64
	Currency string
	Items    []Item
	// Properties of a custom event.
	Properties map[string]string
	// Internal says that the channel begins no session: the referrer is the
	// member's own site.
	Internal bool
}

// Item is a line of a basket.
type Item struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Variant  string `json:"variant"`
	Cents    int64  `json:"cents"` // for one
	Quantity int64  `json:"quantity"`
}

// Position is how far a spool has been taken in. It is stored in the same
// transaction as the events before it.
type Position struct {
	Segment uint64
	Offset  int64
}

// Consent is what a visitor's browser said about one purpose.
type Consent struct {
	Visitor VisitorID
	At      time.Time
	Purpose string // analytics, advertising, personalisation, pooling
	Granted bool
	Proof   string // how it was given: the consent tool, the GPP string
}

// Link says that a visitor declared to be somebody. Value is normalised (norm/1).
type Link struct {
	Visitor     VisitorID
	At          time.Time
	Kind, Value string // "email", "phone" or "account"
}

// Batch is what a spool hands over at once.
type Batch struct {
	Events   []Event
	Consents []Consent
	Links    []Link
	// Upto is where the spool is to be read on from.
	Upto Position
}
