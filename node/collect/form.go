package collect

import (
	"fmt"
	"strings"

	"coulisse/node/warehouse"

	"github.com/go-json-experiment/json/jsontext"
)

// The members of a request, as event.schema.json names and bounds them.

// unknown is the fault of a member that the form does not have.
func (r reader) unknown() error { return r.fault("a name that the form has") }

func (r reader) body(b *body) error {
	var version int64
	return r.object(func(name string) error {
		switch name {
		case "v":
			if err := r.integer(&version, maxTime); err != nil {
				return err
			}
			if version != 1 {
				return r.fault("version 1")
			}
			return nil
		case "sent":
			return r.integer(&b.sent, maxTime)
		case "visitor":
			return r.id((*[16]byte)(&b.visitor))
		case "consent":
			return r.consent(&b.consent)
		case "events":
			n, err := r.array(maxEvents, func() error {
				b.events = append(b.events, event{})
				return r.event(&b.events[len(b.events)-1])
			})
			if err == nil && n == 0 {
				return r.fault("at least one event")
			}
			return err
		}
		return r.unknown()
	}, "v", "sent", "consent", "events")
}

func (r reader) consent(a *answers) error {
	return r.object(func(name string) error {
		switch name {
		case "at":
			return r.integer(&a.at, maxTime)
		case "proof":
			return r.text(&a.proof, 100)
		case "gpp":
			return r.text(&a.gpp, 4096)
		case "gpc":
			return r.boolean(&a.gpc)
		case "minor":
			return r.boolean(&a.minor)
		}
		for i, purpose := range purposes {
			if name == purpose {
				return r.answer(&a.given[i])
			}
		}
		return r.unknown()
	})
}

func (r reader) answer(to *answer) error {
	var s string
	if err := r.text(&s, 10); err != nil {
		return err
	}
	switch s {
	case "granted":
		*to = granted
	case "denied":
		*to = denied
	case "unset":
		*to = unset
	default:
		return r.fault("granted, denied or unset")
	}
	return nil
}

// kinds are the types of event.
var kinds = map[string]bool{
	"page_view": true, "outbound_click": true, "file_download": true, "scroll": true, "engagement": true,
	"view_item": true, "view_item_list": true, "select_item": true, "add_to_cart": true, "remove_from_cart": true,
	"begin_checkout": true, "add_payment_info": true, "purchase": true, "refund": true,
	"consent": true, kindIdentify: true, "custom": true,
}

const kindIdentify = "identify"

func (r reader) event(e *event) error {
	return r.object(func(name string) error {
		switch name {
		case "id":
			return r.id((*[16]byte)(&e.id))
		case "at":
			return r.integer(&e.at, maxTime)
		case "type":
			if err := r.text(&e.kind, 40); err != nil {
				return err
			}
			if !kinds[e.kind] {
				return r.fault("a type of event")
			}
			return nil
		case "url":
			if err := r.text(&e.url, 4096); err != nil {
				return err
			}
			if !strings.HasPrefix(e.url, "https://") && !strings.HasPrefix(e.url, "http://") {
				return r.fault("an address of http or https")
			}
			return nil
		}
		return r.detail(e, name)
	}, "id", "at", "type", "url")
}

// detail reads what an event may have.
func (r reader) detail(e *event, name string) error {
	switch name {
	case "title":
		return r.text(&e.title, 500)
	case "referrer":
		return r.text(&e.referrer, 4096)
	case "language":
		return r.text(&e.language, 35)
	case "name":
		return r.text(&e.name, 100)
	case "target":
		return r.text(&e.target, 4096)
	case "scroll":
		var percent int64
		err := r.integer(&percent, 100)
		e.scroll = int8(percent)
		return err
	case "engaged":
		return r.integer(&e.engaged, 86_400_000)
	case "value":
		return r.money(&e.cents)
	case "currency":
		return r.currency(&e.currency)
	case "transaction":
		return r.text(&e.transaction, 200)
	case "items":
		_, err := r.array(maxItems, func() error {
			e.items = append(e.items, warehouse.Item{Quantity: 1})
			return r.item(&e.items[len(e.items)-1])
		})
		return err
	case "props":
		return r.props(&e.props)
	case "email":
		return r.text(&e.email, 320)
	case "phone":
		return r.text(&e.phone, 40)
	case "account":
		return r.text(&e.account, 200)
	}
	return r.unknown()
}

func (r reader) item(i *warehouse.Item) error {
	return r.object(func(name string) error {
		switch name {
		case "id":
			return r.text(&i.ID, 200)
		case "name":
			return r.text(&i.Name, 500)
		case "category":
			return r.text(&i.Category, 200)
		case "variant":
			return r.text(&i.Variant, 200)
		case "price":
			return r.money(&i.Cents)
		case "quantity":
			return r.integer(&i.Quantity, 1_000_000)
		}
		return r.unknown()
	})
}

func (r reader) props(to *map[string]string) error {
	*to = map[string]string{}
	return r.object(func(name string) error {
		if len(*to) == maxProps {
			return r.fault(fmt.Sprintf("an object of at most %d members", maxProps))
		}
		if length := len([]rune(name)); length == 0 || length > 40 {
			return r.fault("a name of 1 to 40 characters")
		}
		var value string
		err := r.text(&value, 500)
		(*to)[name] = value
		return err
	})
}

func (r reader) currency(to *string) error {
	if err := r.text(to, 3); err != nil {
		return err
	}
	for i := range len(*to) {
		if c := (*to)[i]; c < 'A' || c > 'Z' {
			return r.fault("three capital letters")
		}
	}
	if len(*to) != 3 {
		return r.fault("three capital letters")
	}
	return nil
}

// maxMoney is the most that an amount may be, in millionths.
const maxMoney = 9_999_999_999_000_000

// money reads an amount, which sites write as a number or as text, and rounds
// it to cents.
func (r reader) money(to *int64) error {
	const want = "an amount of at most 10 digits, with a decimal point"
	literal, text := "", r.PeekKind() == jsontext.KindString
	if text {
		if err := r.text(&literal, 45); err != nil {
			return err
		}
		if !amount.MatchString(literal) {
			return r.fault(want)
		}
		literal = strings.Replace(literal, ",", ".", 1)
	} else {
		var err error
		if literal, err = r.number(want); err != nil {
			return err
		}
	}
	millionths, _, ok := decimal(literal, 6)
	if !ok || !text && max(millionths, -millionths) > maxMoney {
		return r.fault(want)
	}
	half := int64(5000)
	if millionths < 0 {
		half = -half
	}
	*to = (millionths + half) / 10_000
	return nil
}
