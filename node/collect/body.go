package collect

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"coulisse/node/warehouse"

	"github.com/go-json-experiment/json/jsontext"
)

// body is a request as it was sent, of the form that event.schema.json gives.
type body struct {
	sent    int64
	visitor warehouse.VisitorID
	consent answers
	events  []event
}

// answers are what the visitor said.
type answers struct {
	// given has the purposes in the order of purposes.
	given      [len(purposes)]answer
	at         int64
	proof, gpp string
	gpc, minor bool
}

// purposes are what consent is asked for.
var purposes = [...]string{"analytics", "advertising", "personalisation", "pooling"}

// Places in purposes.
const (
	analytics = iota
	advertising
	personalisation
	pooling
)

// answer is what was said about a purpose; at first nothing was.
type answer int8

const (
	unset answer = iota
	granted
	denied
)

type event struct {
	id                         warehouse.EventID
	at                         int64
	kind, url, title, referrer string
	language, name, target     string
	scroll                     int8
	engaged, cents             int64
	currency, transaction      string
	items                      []warehouse.Item
	props                      map[string]string
	email, phone, account      string
}

// Bounds of event.schema.json.
const (
	maxBody   = 64 << 10
	maxEvents = 50
	maxItems  = 100
	maxProps  = 25
	maxTime   = 1<<53 - 1
)

// errBody is the kind of every fault in a request's form. Its words go back to
// whoever sent it, and hold no value of theirs.
var errBody = errors.New("the request is not of the form of /e.schema.json")

// reader reads a request by its tokens: strictly, and without a copy of what
// it does not know.
type reader struct{ *jsontext.Decoder }

// decode reads a request.
func decode(raw []byte) (body, error) {
	r := reader{jsontext.NewDecoder(bytes.NewReader(raw))}
	var b body
	err := r.body(&b)
	if err == nil {
		if _, err = r.ReadToken(); err == io.EOF {
			return b, nil
		}
		err = r.fault("nothing more")
	}
	if !errors.Is(err, errBody) {
		err = fmt.Errorf("%w: it is not JSON in UTF-8, or says a name twice, near byte %d", errBody, r.InputOffset())
	}
	return body{}, err
}

// fault says where a request is wrong. The place is of names that the sender
// chose: it is cut.
func (r reader) fault(want string) error {
	place := string(r.StackPointer())
	if len(place) > 80 {
		place = strings.ToValidUTF8(place[:80], "") + "…"
	}
	return fmt.Errorf("%w: at %q, %s is expected", errBody, place, want)
}

// object reads an object's members, and reports a required one that is missing.
func (r reader) object(member func(name string) error, required ...string) error {
	if err := r.begin(jsontext.KindBeginObject, "an object"); err != nil {
		return err
	}
	missing := len(required)
	for r.PeekKind() != jsontext.KindEndObject {
		token, err := r.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		for _, one := range required {
			if one == name {
				missing--
			}
		}
		if err := member(name); err != nil {
			return err
		}
	}
	if missing > 0 {
		return r.fault("each of " + strings.Join(required, ", "))
	}
	_, err := r.ReadToken()
	return err
}

// array reads at most max elements.
func (r reader) array(max int, element func() error) (int, error) {
	if err := r.begin(jsontext.KindBeginArray, "a list"); err != nil {
		return 0, err
	}
	n := 0
	for ; r.PeekKind() != jsontext.KindEndArray; n++ {
		if n == max {
			return n, r.fault(fmt.Sprintf("a list of at most %d", max))
		}
		if err := element(); err != nil {
			return n, err
		}
	}
	_, err := r.ReadToken()
	return n, err
}

func (r reader) begin(kind jsontext.Kind, want string) error {
	if r.PeekKind() != kind {
		return r.mismatch(want)
	}
	_, err := r.ReadToken()
	return err
}

// mismatch reads the token that is not of the kind that it should be, so that
// the fault names its place, or what is no JSON is called that.
func (r reader) mismatch(want string) error {
	if _, err := r.ReadToken(); err != nil {
		return err
	}
	return r.fault(want)
}

// text reads a string of at most max characters.
func (r reader) text(to *string, max int) error {
	if r.PeekKind() != jsontext.KindString {
		return r.mismatch("text")
	}
	token, err := r.ReadToken()
	if err != nil {
		return err
	}
	if *to = token.String(); len(*to) > max && utf8.RuneCountInString(*to) > max {
		return r.fault(fmt.Sprintf("text of at most %d characters", max))
	}
	return nil
}

// id reads sixteen bytes in base64url.
func (r reader) id(to *[16]byte) error {
	var s string
	if err := r.text(&s, 22); err != nil {
		return err
	}
	// What the decoder skips is not in the alphabet.
	n, err := base64.RawURLEncoding.Decode(to[:], []byte(s))
	if len(s) != 22 || n != 16 || err != nil || strings.ContainsAny(s, "\r\n") {
		return r.fault("22 characters of base64url")
	}
	return nil
}

func (r reader) boolean(to *bool) error {
	switch r.PeekKind() {
	case jsontext.KindTrue, jsontext.KindFalse:
	default:
		return r.mismatch("true or false")
	}
	token, err := r.ReadToken()
	*to = token.Kind() == jsontext.KindTrue
	return err
}

// number reads the literal of a number.
func (r reader) number(want string) (string, error) {
	if r.PeekKind() != jsontext.KindNumber {
		return "", r.mismatch(want)
	}
	token, err := r.ReadToken()
	return token.String(), err
}

// integer reads a whole number, however it is written.
func (r reader) integer(to *int64, most int64) error {
	want := fmt.Sprintf("a whole number from 0 to %d", most)
	literal, err := r.number(want)
	if err != nil {
		return err
	}
	n, exact, ok := decimal(literal, 0)
	if !ok || !exact || n < 0 || n > most {
		return r.fault(want)
	}
	*to = n
	return nil
}
