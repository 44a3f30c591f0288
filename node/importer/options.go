package importer

import (
	"strings"
	"time"

	"coulisse/node/identity"
	"coulisse/node/taxonomy"
)

// Options says how a file is to be read.
type Options struct {
	Kind Kind
	// File is the name that reports show. It is not opened.
	File string
	// Mapping overrides what is found in the file.
	Mapping Mapping
	// Region is where telephone numbers without a country code are from, "CA"
	// if empty.
	Region string
	// MemberDefaults fills what the file has no column for.
	MemberDefaults Defaults
	// SharedPhones are the member's own counters, in any writing: as a person's
	// number they are refused.
	SharedPhones []string
	// Zone is the member's, time.Local if nil: a time with an offset falls on
	// the day that it is there, and one without is read there.
	Zone *time.Location
	// AsOf is when the file was true. Consents without a date of their own take
	// it, so that an old export does not undo a later withdrawal. Now if zero.
	AsOf time.Time
	// SpoolDir is where a file that cannot be read twice is copied while it is
	// imported, the system's directory for temporary files if empty.
	SpoolDir string
	// Progress, if not nil, is told now and then how far the import is.
	Progress func(Progress)
}

// Defaults fill columns that a file does not have.
type Defaults struct {
	Venue      string
	Discipline string    // a code of node/taxonomy
	Consents   []Consent // what everybody in the file agreed to, as the member vouches
}

// Stage is what an import is doing.
type Stage string

// An import reads a file three times: once for its bytes, once for what only
// the whole of a column tells, once for its rows.
const (
	StageReading   Stage = "reading"
	StageChecking  Stage = "checking"
	StageImporting Stage = "importing"
)

// Progress is how far an import is. Total is 0 while it is not known.
type Progress struct {
	Stage   Stage `json:"stage"`
	Bytes   int64 `json:"bytes"`
	Total   int64 `json:"total"`
	Rows    int64 `json:"rows"`
	Refused int64 `json:"refused"`
}

func fieldList() string {
	var list []string
	for _, field := range ticketFields {
		list = append(list, string(field))
	}
	return strings.Join(list, ", ")
}

// prepared checks the options and fills in what is left out.
func (o Options) prepared() (Options, map[identity.Identifier]bool, error) {
	if o.Kind != People && o.Kind != Tickets {
		return o, nil, settings("un fichier contient des personnes (people) ou des billets (tickets)",
			"a file holds people or tickets")
	}
	if err := o.Mapping.Check(); err != nil {
		return o, nil, err
	}
	if o.Region == "" {
		o.Region = "CA"
	}
	if !identity.KnownRegion(o.Region) {
		return o, nil, settings("la région est un code de pays, comme CA", "the region is a country code, such as CA")
	}
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.AsOf.IsZero() {
		o.AsOf = time.Now()
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if d := o.MemberDefaults.Discipline; d != "" && !taxonomy.Known(d) {
		return o, nil, settings("la discipline par défaut n'est pas un code de la taxonomie",
			"the default discipline is not a code of the taxonomy")
	}
	for _, c := range o.MemberDefaults.Consents {
		if err := c.Purpose.Check(); err != nil || c.At.IsZero() {
			return o, nil, settings("un consentement par défaut a une fin connue et une date",
				"a default consent has a known purpose and a date")
		}
	}
	shared, err := o.shared()
	return o, shared, err
}

// shared normalises the member's own counters.
func (o Options) shared() (map[identity.Identifier]bool, error) {
	set := make(map[identity.Identifier]bool)
	for _, raw := range o.SharedPhones {
		id, err := identity.Phone(raw, o.Region)
		switch err {
		case nil:
			set[id] = true
		case identity.ReasonServicePhone, identity.ReasonSharedPhone, identity.ReasonPhoneExtension:
			// refused without our help
		default:
			return nil, settings("un des téléphones partagés n'est pas un numéro de téléphone",
				"one of the shared phones is not a telephone number")
		}
	}
	return set, nil
}
