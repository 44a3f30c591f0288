package importer

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	lines := `{"email": "marie@example.com", "event": {"name": "L'Avare \u2014 Moli\u00e8re", "date": "2026-11-23T19:30:00-05:00"}, "quantity": 2, "amount": 91.5, "order": 1001, "tags": ["a", {"b": "]"}]}` + "\n" +
		"\n" +
		`{"quantity": 1, "email": "luc@example.com", "amount": "1 234,50 $", "event": {"date": "2026-11-24", "name": "Cid"}, "consent_pooling": true}` + "\r\n" +
		`{"email": "broken@example.com", "event": ` + "\n" +
		`{"email": "eve@example.com", "email": "two@example.com", "quantity": 1, "event": {"date": "2026-11-24", "name": "Cid"}}` + "\n" +
		`{"email": "zoe@example.com", "quantity": 1e1, "amount": null, "event": {"date": "2026-11-24", "name": "Cid"}, "consent_pooling": false}`
	want := []string{
		"1 marie@example.com -|1001|L'Avare — Molière|||2026-11-23|2|9150|",
		"3 luc@example.com -||Cid|||2026-11-24|1|123450| pooling=true@2026-11-24T12:00",
		"6 zoe@example.com -||Cid|||2026-11-24|10|0| pooling=false@2026-11-24T12:00"}
	report, sink := take(t, lines, options(Tickets))
	wantRows(t, sink, want...)
	if got := reasons(report.RefusedBy); !maps.Equal(got, map[Reason]int64{ReasonBadJSON: 2}) || report.Format != JSON {
		t.Errorf("%+v", report)
	}
	// The same as a list, over as many lines as its writer likes.
	good := strings.Split(lines, "\n")
	list := "[\n" + good[0] + ",\n" + strings.ReplaceAll(good[2], ", ", ",\n  ") + " ,\n" + good[5] + "\n]\n"
	_, sink = take(t, list, options(Tickets))
	want[0] = "2" + want[0][1:]
	want[2] = "9" + want[2][1:]
	wantRows(t, sink, want...)
}

func TestJSONInPieces(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		rows []string
	}{
		"objects that lie in objects":   {`{"buyer": {"email": "a.b@example.com", "address": {"zip": "H2X 1Y4"}}}`, []string{"1 a.b@example.com - H2X1Y4"}},
		"names that only some have":     {"{\"email\": \"a.b@example.com\"}\n{\"postal_code\": \"H2X\", \"email\": \"c.d@example.com\"}\n", []string{"1 a.b@example.com - ", "2 c.d@example.com - H2X"}},
		"texts with escapes and quotes": {`{"email": "a.b\u0040example.com", "x\"y": "\"}"}`, []string{"1 a.b@example.com - "}},
		"objects behind one another":    {"{\"email\":\n \"a.b@example.com\"}{\"email\":\"c.d@example.com\"}", []string{"1 a.b@example.com - ", "2 c.d@example.com - "}},
		"a mark before it":              {"\ufeff[\n{\"email\": \"a.b@example.com\"}]", []string{"2 a.b@example.com - "}},
		"a line that is too long": {"{\"email\": \"a.b@example.com\"}\n{\"email\": \"" + strings.Repeat("x", maxRow) + "\"}\n{\"email\": \"c.d@example.com\"}",
			[]string{"1 a.b@example.com - ", "3 c.d@example.com - "}},
		"a list with an object that is too long": {"[{\"email\": \"a.b@example.com\"},\n{\"email\": \"" + strings.Repeat("x", maxRow) + "\"},\n{\"email\": \"c.d@example.com\"}]",
			[]string{"1 a.b@example.com - ", "3 c.d@example.com - "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, sink := take(t, c.file, options(People))
			wantRows(t, sink, c.rows...)
		})
	}
}

// FuzzJSON: of each object we read what encoding/json reads.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a": "b", "c": {"d": 1.50, "e": [1, {"]": "}"}]}, "f": null, "g": true}`, "{\"a\": \"\\u00e9\\\"\"}\n{\"b\": 2}\n\n{", `[{"a": 1}, {"a": 2}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !looksLikeJSON([]byte(text)) {
			t.Skip()
		}
		rows := newJSONRows(strings.NewReader(text), aLineEach([]byte(text)))
		rows.discover = true
		for {
			r, err := rows.next()
			if err != nil {
				var found *Problem
				if err != io.EOF && !errors.As(err, &found) {
					t.Fatal(err)
				}
				return
			}
			if r.broken != "" {
				continue
			}
			var object map[string]any
			decoder := json.NewDecoder(strings.NewReader(string(rows.raw)))
			decoder.UseNumber()
			if err := decoder.Decode(&object); err != nil {
				t.Fatalf("we read %q, and they: %v", rows.raw, err)
			}
			want := make(map[string]string)
			flatten(want, "", object)
			for i, name := range rows.names {
				if i < len(r.cells) && want[name] != "" && string(r.cells[i]) != want[name] && !r.exact(i) {
					t.Fatalf("%q: %q, not %q", name, r.cells[i], want[name])
				}
			}
		}
	})
}

// flatten joins the names of objects in objects; lists are left out.
func flatten(into map[string]string, prefix string, object map[string]any) {
	for name, value := range object {
		switch value := value.(type) {
		case map[string]any:
			flatten(into, prefix+name+".", value)
		case string:
			into[prefix+name] = value
		case json.Number:
			into[prefix+name] = value.String()
		}
	}
}
