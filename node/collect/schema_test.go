package collect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// oracle is the published schema, read by a validator that others wrote.
func oracle(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("e.schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("e.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// The schema says what decode takes, and nothing else: of bodies with some of
// what they may have and some of it wrong, and of a body with everything, each
// place of which takes each odd value.
func TestTheSchemaIsWhatIsTaken(t *testing.T) {
	compiled := oracle(t)
	taken, refused := 0, 0
	compare := func(tree any) {
		t.Helper()
		raw, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		want := compiled.Validate(instance)
		_, got := decode(raw)
		if (want == nil) != (got == nil) {
			t.Fatalf("%s\nthe schema says %v\ndecode says %v", raw, want, got)
		}
		if got == nil {
			taken++
		} else {
			refused++
		}
	}
	r := rand.New(rand.NewPCG(5, 17))
	for range 3000 {
		tree := randomBody(r)
		for range r.IntN(3) {
			tree = spoil(r, tree)
		}
		compare(tree)
	}
	for _, value := range odd {
		each(fullBody(), func(put func(any)) { put(clone(value)) }, compare)
	}
	if taken < 1500 || refused < 4000 {
		t.Errorf("%d bodies were taken and %d refused: too few of one", taken, refused)
	}
}

// each changes every place of a tree in turn, and shows the whole tree.
func each(whole any, change func(put func(any)), show func(any)) {
	var walk func(part any, put func(any))
	walk = func(part any, put func(any)) {
		change(put)
		show(whole)
		put(part)
		switch v := part.(type) {
		case object:
			for name, value := range v {
				walk(value, func(to any) { v[name] = to })
			}
		case []any:
			for i, value := range v {
				walk(value, func(to any) { v[i] = to })
			}
		}
	}
	root := whole
	walk(root, func(to any) { whole = to })
}

type object = map[string]any

// fullBody is a good body with all that it may have: nobody chooses.
func fullBody() any {
	body := randomBody(nil).(object)
	body["events"] = []any{randomEvent(nil)}
	return body
}

// choose is a random number below n, 0 if nobody chooses.
func choose(r *rand.Rand, n int) int {
	if r == nil {
		return 0
	}
	return r.IntN(n)
}

// randomBody is a good body with any of what it may have.
func randomBody(r *rand.Rand) any {
	consent := object{}
	for _, purpose := range purposes {
		some(r, consent, purpose, []string{"granted", "denied", "unset"}[choose(r, 3)])
	}
	some(r, consent, "at", 1732400000000)
	some(r, consent, "proof", "gcm")
	some(r, consent, "gpp", "DBABMA~1YNN")
	some(r, consent, "gpc", choose(r, 2) == 0)
	some(r, consent, "minor", choose(r, 2) == 0)
	events := make([]any, 1+choose(r, 3))
	for i := range events {
		events[i] = randomEvent(r)
	}
	body := object{"v": 1, "sent": 1732400000000, "consent": consent, "events": events}
	some(r, body, "visitor", draw())
	return body
}

func randomEvent(r *rand.Rand) object {
	var names []string
	for kind := range kinds {
		names = append(names, kind)
	}
	e := object{"id": draw(), "at": 1732400000000, "type": names[choose(r, len(names))], "url": "https://www.theatre.example/é?x=1"}
	maybe := object{
		"title": "Icare – ça", "referrer": "https://www.google.com/", "language": "fr-CA", "name": "clic", "scroll": choose(r, 101), "engaged": choose(r, 90_000),
		"target": "mailto:x", "value": []any{12.34, "12.34", "12,3", -5, json.Number("1e3"), json.Number("0.30000000000000004")}[choose(r, 6)],
		"currency": "CAD", "transaction": "A-1", "props": object{"salle": "Usine C", "é": ""}, "email": "a@b.example", "phone": "514", "account": "1",
		"items": []any{object{"id": "1", "name": "n", "category": "c", "variant": "v", "price": json.Number("45.00"), "quantity": json.Number("2.0")}, object{}},
	}
	for name, value := range maybe {
		some(r, e, name, value)
	}
	return e
}

func some(r *rand.Rand, o object, name string, value any) {
	if choose(r, 2) == 0 {
		o[name] = value
	}
}

// odd are values that are wrong somewhere, or at a bound.
var odd = []any{
	nil, true, "", "x", "granted", 0, -1, 1, 100, 101, 1.5, json.Number("1.0"), json.Number("1e2"), json.Number("1e400"), json.Number("1e-400"), json.Number("-0"),
	json.Number("9007199254740991"), json.Number("9007199254740992"), json.Number("9999999999"), json.Number("9999999999.01"), json.Number("10000000000"), json.Number("-10000000000"),
	json.Number("86400000"), json.Number("86400001"), 1_000_000, 1_000_001,
	"AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAA\nAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA\n",
	"http://", "https://x", "ftp://x", "HTTPS://x", "CAD", "cad", "CA", "CADX", "CAD\n", "É€x", "12.34", "12,34", "12,345", "1,234.5", ".5", "5.", "+5", "-5", "1e5", " 5", "12345678901", "0000000001", "5\n", "0." + strings.Repeat("9", 30), "0." + strings.Repeat("9", 31),
	strings.Repeat("é", 35), strings.Repeat("é", 36), strings.Repeat("😀", 100), strings.Repeat("😀", 101), strings.Repeat("x", 200), strings.Repeat("x", 201),
	strings.Repeat("x", 500), strings.Repeat("x", 501), strings.Repeat("x", 320), strings.Repeat("x", 321), strings.Repeat("x", 40), strings.Repeat("x", 41),
	"https://" + strings.Repeat("x", 4088), "https://" + strings.Repeat("x", 4089), object{}, []any{}, []any{nil}, object{"a": "b"}, object{"": "b"}, object{strings.Repeat("é", 40): ""}, object{strings.Repeat("é", 41): ""}, object{"a": 1},
	many(25), many(26), list(50, object{}), list(100, object{}), list(101, object{}),
}

func many(n int) object {
	o := object{}
	for i := range n {
		o[fmt.Sprint(i)] = "v"
	}
	return o
}

func list(n int, v any) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = clone(v)
	}
	return all
}

// spoil changes one thing somewhere in a tree, for the better or the worse.
func spoil(r *rand.Rand, tree any) any {
	switch v := tree.(type) {
	case object:
		if len(v) == 0 || r.IntN(6) == 0 {
			break
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		switch name := names[r.IntN(len(names))]; r.IntN(8) {
		case 0:
			delete(v, name)
		case 1:
			v[name+"_"] = v[name]
		case 2:
			v[strings.ToUpper(name)] = v[name]
		default:
			v[name] = spoil(r, v[name])
		}
		return v
	case []any:
		switch r.IntN(6) {
		case 0:
			return append(v, clone(odd[r.IntN(len(odd))]))
		case 1:
			return list(51, randomEvent(r))
		case 2:
			return list(50, randomEvent(r))
		}
		if len(v) > 0 {
			i := r.IntN(len(v))
			v[i] = spoil(r, v[i])
		}
		return v
	}
	return clone(odd[r.IntN(len(odd))])
}

// clone copies a tree, which spoil changes.
func clone(tree any) any {
	switch v := tree.(type) {
	case object:
		o := object{}
		for name, value := range v {
			o[name] = clone(value)
		}
		return o
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = clone(v[i])
		}
		return all
	}
	return tree
}

// FuzzDecode: whatever is sent, it is refused as a fault of the form, or what is
// kept of it comes back out of a record as it went in.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, `{"v":1}`, `{"v":1,"v":1}`, "{\"v\":1,\"\xff\":1}", `{"v":1,"sent":1,"consent":{},"events":[]}`,
		request(agrees, draw(), `,"value":"12,5","props":{"a":"b"},"items":[{"price":1e2}],"scroll":100`),
		request(`{"minor":true,"gpc":true}`, "", `,"title":"\u0000\ud800"`), strings.Repeat(`[`, 5000), strings.Repeat(`{"v":`, 5000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := decode(raw)
		if err != nil {
			return
		}
		c := &Collector{sites: newSites([]string{"www.theatre.example"}), cfg: Config{Settings: Settings{BeforeConsent: BeforeConsentCounts}}}
		kept, err := c.accept(b, visit{at: at})
		if err != nil {
			return
		}
		record := encodeRecord(kept)
		if record == nil {
			return
		}
		again, err := decodeRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		if once := encodeRecord(batchOf(again)); !bytes.Equal(once, record) {
			t.Errorf("%s\nbecomes\n%s", record, once)
		}
	})
}
