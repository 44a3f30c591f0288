package draft

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// federation is a view with three houses, a festival, a newspaper, and a house
// that left.
func federation() governance.View {
	member := func(id protocol.MemberID, kind protocol.MemberKind, left protocol.Millis) governance.Member {
		return governance.Member{Card: protocol.Card{ID: id, Kind: kind}, Left: left}
	}
	return governance.View{
		Last: protocol.HashOf([]byte("last")),
		Charter: protocol.Charter{Floors: protocol.Floors{
			MinMembers: 2, MinParticipants: 3, MinSize: 50, MinVariance: 100, MaxRoundCost: 5_000_000,
		}},
		Members: []governance.Member{
			member("agora", protocol.KindHouse, 0), member("brise", protocol.KindFestival, 0), member("echo", protocol.KindMedia, 0),
			member("moulin", protocol.KindHouse, 0), member("parti", protocol.KindHouse, 3), member("theatre", protocol.KindHouse, 0),
		},
	}
}

func known() Known {
	first := func([]protocol.MemberID) (protocol.Epoch, error) { return 1, nil }
	return Known{Self: "agora", View: federation(), Epoch: first, Now: time.UnixMilli(1_800_000_000_000)}
}

const written = `
title: {fr: "Danse", en: "Dance"}
definition: {disciplines: [dance.contemporary], from: 2025-09-01, min_visits: 2}
houses: all
rule: {at_least: 3}
recipients: [echo]
`

func draw(t *testing.T, text string) (protocol.Manifest, error) {
	t.Helper()
	a, err := ParseAudience([]byte(text))
	if err != nil {
		return protocol.Manifest{}, err
	}
	return a.Manifest(known())
}

func TestManifest(t *testing.T) {
	m, err := draw(t, written)
	if err != nil {
		t.Fatal(err)
	}
	var names []protocol.SourceName
	for _, s := range m.Sources {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []protocol.SourceName{"agora", "brise", "echo", "moulin", "theatre"}) {
		t.Errorf("sources %v", names)
	}
	houses := []protocol.SourceName{"agora", "brise", "moulin", "theatre"}
	if m.Rule.AtLeast == nil || m.Rule.AtLeast.T != 3 || !slices.Equal(m.Rule.AtLeast.Of, houses) {
		t.Errorf("rule %+v", m.Rule)
	}
	if !slices.Equal(m.Recipients, []protocol.SourceName{"echo"}) {
		t.Errorf("recipients %v", m.Recipients)
	}
	agora, _ := m.Source("agora")
	if d := agora.Definition; d.From != "2025-09-01" || d.MinVisits != 2 || d.Name != "audience" || d.Title.FR != "Danse" {
		t.Errorf("definition %+v", d)
	}
	if echo, _ := m.Source("echo"); len(echo.Definition.Disciplines) > 0 || echo.Definition.Name != "readers" {
		t.Errorf("the readers are %+v", echo.Definition)
	}
	if m.Noise != (protocol.Noise{Total: 400, Sources: 1600}) {
		t.Errorf("noise %+v", m.Noise)
	}
	if m.Deadline != 1_800_003_600_000 || m.Policies != known().View.Last || m.Epoch != 1 || m.Check() != nil {
		t.Errorf("manifest %+v: %v", m, m.Check())
	}
	if again, _ := draw(t, written); again.Round == m.Round {
		t.Error("two rounds have the same number")
	}
}

// The default noise of the parts grows so that a round of many sources costs
// no more than one may, and never falls under the charter's floor.
func TestNoiseFits(t *testing.T) {
	floors := federation().Charter.Floors
	for sources := 1; sources <= 1000; sources++ {
		n, err := noise(protocol.Noise{}, sources, floors)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := dp.Cost(dp.Size, n.Total)
		s, _ := dp.MemberSizes(sources)
		parts, _ := dp.Cost(s, n.Sources)
		if size+parts > floors.MaxRoundCost || n.Sources < DefaultSources {
			t.Fatalf("%d sources cost %d with %+v", sources, size+parts, n)
		}
	}
	asked := protocol.Noise{Total: 100, Sources: 100}
	if n, err := noise(asked, 5, floors); err != nil || n != asked {
		t.Errorf("what is asked for is changed to %+v, %v", n, err)
	}
	floors.MinVariance = 5000
	if n, _ := noise(protocol.Noise{}, 5, floors); n.Total != 5000 || n.Sources != 5000 {
		t.Errorf("noise under the floor: %+v", n)
	}
}

func TestParticular(t *testing.T) {
	m, err := draw(t, `
title: {fr: "Deux publics", en: "Two publics"}
deadline: 2d
noise: {total: 900, sources: 2500}
sources:
  - {member: agora, name: agora-danse, definition: {disciplines: [dance]}}
  - {member: moulin, definition: {name: jazz, title: {fr: Jazz, en: Jazz}, disciplines: [music.jazz]}}
  - {member: theatre, definition: {postal_prefixes: [H2, "1E3"]}}
rule: {all: [{source: agora-danse}, {at_least: {t: 1, of: [moulin, theatre]}}]}
recipients: [agora, moulin]
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Rule.All) != 2 || m.Noise.Total != 900 || m.Noise.Sources != 2500 || m.Deadline != 1_800_172_800_000 {
		t.Errorf("manifest %+v", m)
	}
	if !slices.Equal(m.Recipients, []protocol.SourceName{"agora-danse", "moulin"}) {
		t.Errorf("recipients %v", m.Recipients)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"a misspelt field":      {"definition:", "defintion:", "defintion"},
		"a misspelt subfield":   {"min_visits", "min_visit", "definition.min_visit"},
		"no title":              {`title: {fr: "Danse", en: "Dance"}`, "", "a title is missing"},
		"one language":          {`, en: "Dance"`, "", "a title is missing"},
		"nobody":                {"houses: all", "", "nobody takes part"},
		"another word":          {"houses: all", "houses: some", "houses"},
		"a stranger":            {"houses: all", "houses: [agora, inconnu]", "inconnu is not a member in good standing"},
		"one that left":         {"houses: all", "houses: [agora, parti]", "parti is not a member in good standing"},
		"without the initiator": {"houses: all", "houses: [brise, moulin, theatre]", "add agora"},
		"no rule":               {"rule: {at_least: 3}", "", "the rule is missing"},
		"too high a threshold":  {"at_least: 3", "at_least: 9", "9 of 4"},
		"a rule of nothing":     {"{at_least: 3}", "{source: nowhere}", "nowhere"},
		"a key twice":           {"houses: all", "houses: all\nhouses: all", "houses"},
		"a bad deadline":        {"houses: all", "houses: all\ndeadline: soon", "deadline"},
		"no definition":         {"definition: {disciplines: [dance.contemporary], from: 2025-09-01, min_visits: 2}", "", "no definition"},
		"a day that is not":     {"2025-09-01", `"2025-02-30"`, "a date is written"},
		"not YAML":              {"houses: all", "houses: [", "not YAML"},
	} {
		text := strings.Replace(written, c.from, c.to, 1)
		if text == written {
			t.Fatalf("%s: nothing changed", name)
		}
		_, err := draw(t, text)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode[Audience]([]byte(strings.Repeat("a", MaxFile+1))); !errors.Is(err, ErrDraft) {
		t.Errorf("a long file: %v", err)
	}
	if _, err := Decode[Audience]([]byte(strings.Repeat("[", 5000))); err == nil {
		t.Error("a deep file is read")
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"90m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := ParseSpan(text); err != nil || got != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0s", "-1h", "0d", "-2d", "1.5d", "99999d", "soon"} {
		if _, err := ParseSpan(text); !errors.Is(err, ErrDraft) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Charters and floors are written in YAML under the names of the protocol.
func TestDecodeFloors(t *testing.T) {
	f, err := Decode[protocol.Floors]([]byte("min_members: 2\nmin_participants: 3\nmin_size: 50\nmin_variance: 100\nmax_round_cost_nano_rho: 5000000\n"))
	if err != nil || f != federation().Charter.Floors {
		t.Errorf("%+v, %v", f, err)
	}
}

// FuzzAudience: whatever is written, a manifest that comes out is well formed.
func FuzzAudience(f *testing.F) {
	f.Add([]byte(written))
	f.Add([]byte(`{"title":{"fr":"a","en":"b"},"houses":["agora","moulin","theatre"],"rule":{"any":[{"source":"agora"}]},"definition":{}}`))
	f.Add([]byte("title: &a {fr: x, en: y}\ndefinition: {title: *a}\nhouses: all houses\nrule: {at_least: {t: 1, of: [agora]}}\nnoise: {total: 1}"))
	f.Add([]byte("? [a, b]\n: c"))
	f.Add([]byte("segment: danse\ndeadline: 1d\nrule: {at_least: 1e3}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := ParseAudience(text)
		if err != nil {
			return
		}
		m, err := a.Manifest(known())
		if err == nil && m.Check() != nil {
			t.Fatalf("a manifest that is not well formed: %v", m.Check())
		}
	})
}

// FuzzDefinition: the same for what a segment is saved from.
func FuzzDefinition(f *testing.F) {
	f.Add([]byte("disciplines: [dance]\ntitle: {fr: Danse, en: Dance}"))
	f.Add([]byte("{name: a-b, venues: [\"x\"], from: 2025-01-01, until: 2025-01-02T10:00:00Z}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := Definition(text, "named"); err == nil && d.Check() != nil {
			t.Fatal(d.Check())
		}
	})
}
