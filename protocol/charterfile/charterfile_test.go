package charterfile

import (
	"reflect"
	"strings"
	"testing"

	"coulisse/protocol"
)

func TestTheShippedCharterHoldsWhatIsAnnounced(t *testing.T) {
	const day = 24 * 3600 * 1000
	got, err := Parse(Shipped, "culture")
	if err != nil {
		t.Fatal(err)
	}
	want := protocol.Charter{
		Namespace: "culture", Name: protocol.Text{FR: "Coopérative culturelle", EN: "Cultural co-operative"},
		Ordinary:  protocol.VotingRule{QuorumPercent: 25, Numerator: 1, Denominator: 2, MinOpen: 3 * day, MaxOpen: 30 * day},
		Special:   protocol.VotingRule{QuorumPercent: 50, Numerator: 2, Denominator: 3, MinOpen: 7 * day, MaxOpen: 60 * day},
		Floors:    protocol.Floors{MinMembers: 2, MinParticipants: 3, MinSize: 50, MinVariance: 100, MaxRoundCost: 5_000_000},
		Budget:    protocol.Budget{Total: 100_000_000, DeltaExponent: 9},
		Allowance: 5_000_000,
	}
	want.Cosigners, want.MaxProxies = 1, 2
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// What the shipped charter shows in a comment is a charter too.
func TestParseTakesAnAssembly(t *testing.T) {
	text := string(Shipped)
	for _, line := range [][2]string{
		{"#   chair: theatre-du-fleuve        the", "chair: theatre-du-fleuve      # the"},
		{"#   colleges:", "colleges:"},
		{"#     - name: {fr: Lieux", "    - name: {fr: Lieux"}, {"#       kinds: [house", "      kinds: [house"},
		{"#     - name: {fr: Créateurs", "    - name: {fr: Créateurs"}, {"#       kinds: [company", "      kinds: [company"},
		{"  quorum_percent: 50\n", "  quorum_percent: 50\n  each_college: true\n  casting_vote: true\n  abstentions_out_of_quorum: true\n"},
	} {
		if !strings.Contains(text, line[0]) {
			t.Fatalf("the shipped charter does not show %q", line[0])
		}
		text = strings.Replace(text, line[0], line[1], 1)
	}
	c, err := Parse([]byte(text), "culture")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Special.EachCollege || !c.Special.CastingVote || !c.Special.ExpressedQuorum || c.Ordinary.EachCollege {
		t.Errorf("the rules: %+v, %+v", c.Ordinary, c.Special)
	}
	if c.CollegeOf(protocol.KindMuseum) != 0 || c.CollegeOf(protocol.KindMedia) != 1 || c.Chair != "theatre-du-fleuve" {
		t.Errorf("the assembly: %+v, %s", c.Colleges, c.Chair)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, change := range map[string][2]string{
		"an unknown name":      {"min_size: 50", "min_sise: 50"},
		"a name twice":         {"allowance: 5000000", "allowance: 5000000\nallowance: 6000000"},
		"no majority":          {"majority: 1/2", "majority: half"},
		"a minority":           {"majority: 2/3", "majority: 1/3"},
		"a length without end": {"open_at_most: 30d", "open_at_most: 30 days"},
		"a negative length":    {"open_at_least: 3d", "open_at_least: -3d"},
		"a floor of nothing":   {"min_members: 2", "min_members: 0"},
		"a text for a number":  {"min_variance: 100", "min_variance: lots"},
		"a missing name":       {"  en: Cultural co-operative\n", ""},
		"a list":               {"name:", "- name:"},
		"a chair that is none": {"cosigners: 1", "cosigners: 1\nchair: A B"},
		"too many supporters":  {"cosigners: 1", "cosigners: 1000"},
		"a tie nobody settles": {"majority: 2/3", "majority: 2/3\n  casting_vote: true"},
		"no college to ask":    {"majority: 2/3", "majority: 2/3\n  each_college: true"},
		"two documents":        {"allowance: 5000000", "allowance: 5000000\n---\nallowance: 1"},
	} {
		text := strings.Replace(string(Shipped), change[0], change[1], 1)
		if text == string(Shipped) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := Parse([]byte(text), "culture"); err == nil {
			t.Errorf("a charter with %s was taken", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Shipped)
	f.Add([]byte("name: {fr: a, en: b}"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := Parse(text, "culture"); err == nil && c.Check() != nil {
			t.Error("a charter that does not check was taken")
		}
	})
}

func TestParseFloors(t *testing.T) {
	const whole = "min_members: 2\nmin_participants: 3\nmin_size: 30\nmin_variance: 100\nmax_round_cost_nano_rho: 5000000\n"
	got, err := ParseFloors([]byte(whole))
	want := protocol.Floors{MinMembers: 2, MinParticipants: 3, MinSize: 30, MinVariance: 100, MaxRoundCost: 5_000_000}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"a field missing": strings.Replace(whole, "min_size: 30\n", "", 1),
		"another field":   whole + "min_sise: 3\n",
		"under a heading": "floors:\n  min_size: 30\n",
	} {
		if _, err := ParseFloors([]byte(text)); err == nil || !strings.Contains(err.Error(), floorFields) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
