package gpp

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// vector is what the IAB's library says of a string (testdata/vectors.mjs).
type vector struct {
	GPP    string
	IDs    []int
	Canada *struct {
		Version, CmpId, CmpVersion, ConsentScreen, VendorListVersion, TcfPolicyVersion int
		Created, LastUpdated                                                           time.Time
		ConsentLanguage                                                                string
		UseNonStandardStacks                                                           bool
		SpecialFeatureExpressConsent, PurposesExpressConsent, PurposesImpliedConsent   []bool
		VendorExpressConsent, VendorImpliedConsent                                     []int
		PubRestrictions                                                                []struct {
			Key, Type int
			IDs       []int
		}
		PubPurposesExpressConsent, PubPurposesImpliedConsent       []bool
		CustomPurposesExpressConsent, CustomPurposesImpliedConsent []bool
		DisclosedVendors                                           []int
	}
}

func vectors(t testing.TB) (all []vector) {
	f, err := os.Open("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// list spells a set out, as the library does.
func (s IDs) list() []int {
	all := []int{}
	for _, r := range s {
		for id := r.First; id <= r.Last; id++ {
			all = append(all, id)
		}
	}
	return all
}

func numbers(flags []bool) []int {
	all := []int{}
	for i, set := range flags {
		if set {
			all = append(all, i+1)
		}
	}
	return all
}

// Guards that this reads strings as the IAB's library does.
func TestAgainstTheLibrary(t *testing.T) {
	all := vectors(t)
	if len(all) != 72 {
		t.Fatalf("%d vectors", len(all))
	}
	for _, v := range all {
		got, err := Decode(v.GPP)
		if err != nil {
			t.Errorf("%s: %v", v.GPP, err)
			continue
		}
		var ids []int
		for _, section := range got.List {
			ids = append(ids, section.ID)
		}
		if !reflect.DeepEqual(append([]int{}, ids...), append([]int{}, v.IDs...)) {
			t.Errorf("%s: sections %v, want %v", v.GPP, ids, v.IDs)
		}
		if (got.Canada == nil) != (v.Canada == nil) {
			t.Errorf("%s: Canada: %v", v.GPP, got.Canada)
		}
		if got.Canada == nil || v.Canada == nil {
			continue
		}
		for name, pair := range v.compare(got.Canada) {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("%s: %s: %v, want %v", v.GPP, name, pair[0], pair[1])
			}
		}
	}
}

func (v vector) compare(c *TCFCA) map[string][2]any {
	w := v.Canada
	pairs := map[string][2]any{
		"created":          {c.Created, w.Created},
		"updated":          {c.Updated, w.LastUpdated},
		"numbers":          {[]int{c.CMP, c.CMPVersion, c.Screen, c.VendorList, c.Policy}, []int{w.CmpId, w.CmpVersion, w.ConsentScreen, w.VendorListVersion, w.TcfPolicyVersion}},
		"language":         {c.Language, w.ConsentLanguage},
		"stacks":           {c.OwnStacks, w.UseNonStandardStacks},
		"special features": {c.SpecialFeatures.list(), numbers(w.SpecialFeatureExpressConsent)},
		"express":          {c.Express.list(), numbers(w.PurposesExpressConsent)},
		"implied":          {c.Implied.list(), numbers(w.PurposesImpliedConsent)},
		"vendors express":  {c.VendorsExpress.list(), w.VendorExpressConsent},
		"vendors implied":  {c.VendorsImplied.list(), w.VendorImpliedConsent},
		"disclosed":        {c.Disclosed.list(), append([]int{}, w.DisclosedVendors...)},
		"restrictions":     {len(c.Restrictions), len(w.PubRestrictions)},
	}
	for i, r := range w.PubRestrictions {
		if i < len(c.Restrictions) {
			g := c.Restrictions[i]
			pairs["restriction"] = [2]any{[]any{g.Purpose, g.Kind, g.Vendors.list()}, []any{r.Key, r.Type, r.IDs}}
		}
	}
	if p := c.Publisher; p != nil {
		pairs["publisher"] = [2]any{
			[][]int{p.Express.list(), p.Implied.list(), p.CustomExpress.list(), p.CustomImplied.list()},
			[][]int{numbers(w.PubPurposesExpressConsent), numbers(w.PubPurposesImpliedConsent), numbers(w.CustomPurposesExpressConsent), numbers(w.CustomPurposesImpliedConsent)},
		}
	}
	return pairs
}

// Guards the numbers that the specification spells out.
func TestFibonacci(t *testing.T) {
	for code, want := range map[string]int{
		"11": 1, "011": 2, "0011": 3, "1011": 4, "00011": 5, "10011": 6, "01011": 7,
	} {
		if got := written(code).fibonacci(); got != want {
			t.Errorf("%s is %d, want %d", code, got, want)
		}
	}
	// 65535 and 65536, by Zeckendorf's theorem.
	for n, ok := range map[int]bool{most: true, most + 1: false, 75025: false} {
		b := written(fibonacci(n))
		if got := b.fibonacci(); (b.err == nil) != ok || ok && got != n {
			t.Errorf("%d is read as %d, %v", n, got, b.err)
		}
	}
	if got := written("000000000010" + "0" + "0011" + "1" + "011" + "0011").fibonacciRange().list(); !reflect.DeepEqual(got, []int{3, 5, 6, 7, 8}) {
		t.Errorf("the specification's range is %v", got)
	}
	if got := written("1" + "000000000001" + "0" + "0011").specified().list(); !reflect.DeepEqual(got, []int{3}) {
		t.Errorf("the specification's optimised range is %v", got)
	}
	if got := written("0" + "0000000000000101" + "00101").specified().list(); !reflect.DeepEqual(got, []int{3, 5}) {
		t.Errorf("the specification's optimised bitfield is %v", got)
	}
	if got := written("000000000010" + "0" + "0000000000000011" + "1" + "0000000000000101" + "0000000000001000").integerRange().list(); !reflect.DeepEqual(got, []int{3, 5, 6, 7, 8}) {
		t.Errorf("the specification's range is %v", got)
	}
}

func written(digits string) *bits {
	for len(digits)%6 > 0 {
		digits += "0"
	}
	var text []byte
	for i := 0; i < len(digits); i += 6 {
		v := 0
		for _, d := range digits[i : i+6] {
			v = v<<1 | int(d-'0')
		}
		text = append(text, alphabet[v])
	}
	return &bits{text: string(text)}
}

func fibonacci(n int) string {
	f := []int{1, 2}
	for f[len(f)-1] <= n {
		f = append(f, f[len(f)-1]+f[len(f)-2])
	}
	digits := ""
	for i := len(f) - 1; i >= 0; i-- {
		if f[i] <= n {
			n -= f[i]
			digits = "1" + digits
		} else if digits != "" {
			digits = "0" + digits
		}
	}
	return digits + "1"
}

// Guards the headers that the specification shows.
func TestHeader(t *testing.T) {
	for s, want := range map[string][]int{
		"DBABM~x": {2}, "DBABMA~x": {2}, "DBACNYA~x~y": {2, 6}, "DBABjw~x~y": {5, 6}, "DBABjw~x": nil, "DBABM": nil, "DBAA": {},
	} {
		got, err := split(s)
		if want == nil {
			if err == nil {
				t.Errorf("%s was read", s)
			}
			continue
		}
		ids := []int{}
		for _, section := range got {
			ids = append(ids, section.ID)
		}
		if err != nil || !reflect.DeepEqual(ids, want) {
			t.Errorf("%s: %v, %v", s, ids, err)
		}
	}
}

// Guards that a string which cannot be read allows nothing.
func TestRefused(t *testing.T) {
	good := vectors(t)[1].GPP
	for name, s := range map[string]string{
		"nothing":       "",
		"not GPP":       "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
		"too long":      good + strings.Repeat("A", MaxLength),
		"cut off":       good[:40],
		"no section":    "DBABDA",
		"one too many":  good + "~AAAA",
		"not base64url": strings.Replace(good, "~", "~+", 1),
		"version 2":     "DBABDA~C" + good[8:],
		"a tail":        good + "A_A",
		"a segment":     good + ".gAAA",
		"twice":         good + good[strings.IndexByte(good, '.'):],
		"many sections": "DBABDA" + strings.Repeat("~", 70),
	} {
		if got, err := Decode(s); !errors.Is(err, ErrString) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Guards the translation: express consent to all that a purpose takes in, nothing less.
func TestConsents(t *testing.T) {
	all := IDs{{1, 24}}
	without := func(p int) IDs { return IDs{{1, p - 1}, {p + 1, 24}} }
	for _, c := range []struct {
		name string
		says TCFCA
		want Consents
	}{
		{"nothing", TCFCA{}, Consents{Denied, Denied, Denied, Unset}},
		{"implied", TCFCA{Implied: all}, Consents{Denied, Denied, Denied, Unset}},
		{"express", TCFCA{Express: all}, Consents{Granted, Granted, Granted, Unset}},
		{"not 8", TCFCA{Express: without(8)}, Consents{Denied, Granted, Granted, Unset}},
		{"not 2", TCFCA{Express: without(2)}, Consents{Granted, Denied, Granted, Unset}},
		{"not 5", TCFCA{Express: without(5)}, Consents{Granted, Granted, Denied, Unset}},
		{"not 1, which Canada does not use", TCFCA{Express: without(1)}, Consents{Granted, Granted, Granted, Unset}},
		{"a publisher that keeps nothing", TCFCA{Express: all, Publisher: &Publisher{}}, Consents{Granted, Granted, Granted, Unset}},
		{"a publisher that was refused 7", TCFCA{Express: all, Publisher: &Publisher{Express: without(7)}}, Consents{Granted, Denied, Granted, Unset}},
		{"only the publisher", TCFCA{Publisher: &Publisher{Express: all}}, Consents{Denied, Denied, Denied, Unset}},
		{"a publisher by implication", TCFCA{Express: all, Publisher: &Publisher{Implied: all}}, Consents{Denied, Denied, Denied, Unset}},
	} {
		if got := c.says.Consents(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Guards the decoder's bounds: whatever comes, it ends, and holds no more than the
// string can spell.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.GPP)
	}
	f.Add("DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Decode(s)
		if err != nil {
			if !errors.Is(err, ErrString) || got.Canada != nil || got.List != nil {
				t.Fatalf("%v, %v", got, err)
			}
			return
		}
		if len(got.List) > sections {
			t.Fatalf("%d sections", len(got.List))
		}
		if c := got.Canada; c != nil {
			c.Consents()
			held := len(c.VendorsExpress) + len(c.VendorsImplied) + len(c.Restrictions) + len(c.Disclosed)
			for _, r := range c.Restrictions {
				held += len(r.Vendors)
			}
			if held > 6*len(s) {
				t.Fatalf("%d ranges from %d characters", held, len(s))
			}
		}
	})
}
