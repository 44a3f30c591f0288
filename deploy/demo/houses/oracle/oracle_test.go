package oracle_test

import (
	"slices"
	"testing"

	"coulisse/deploy/demo/houses/oracle"
)

func read(t *testing.T) *oracle.Truth {
	t.Helper()
	truth, err := oracle.Read()
	if err != nil {
		t.Fatal(err)
	}
	return truth
}

// The golden figures of the shipped public: what a reader of the demonstration
// may compare its screen with.
func TestGoldenTallies(t *testing.T) {
	golden := []oracle.Tally{
		{Member: "grand-confluent", Rows: 13633, Unusable: 104, People: 9589, Pooling: 8509, Activation: 6500, Lovers: 1078},
		{Member: "theatre-anse-grise", Rows: 8259, Unusable: 64, People: 5849, Pooling: 5181, Activation: 3957, Lovers: 591},
		{Member: "agora-mouvante", Rows: 4456, Unusable: 29, People: 3082, Pooling: 2721, Activation: 2085, Lovers: 2346},
		{Member: "moulin-vert", Rows: 4139, Unusable: 44, People: 2941, Pooling: 2608, Activation: 2018, Lovers: 306},
		{Member: "chapiteau-lucioles", Rows: 5090, Unusable: 34, People: 3643, Pooling: 3235, Activation: 2452, Lovers: 625},
		{Member: "festival-brise-nuit", Rows: 7101, Unusable: 53, People: 5036, Pooling: 4469, Activation: 3400, Lovers: 1041},
		{Member: "echo-estran", Rows: 5652, Unusable: 22, People: 5594, Pooling: 4991, Activation: 3820, Lovers: 0},
	}
	if got := read(t).Tallies(); !slices.Equal(got, golden) {
		t.Errorf("the exports now say\n%+v\nwhere the golden figures are\n%+v", got, golden)
	}
}

func TestGoldenSpread(t *testing.T) {
	truth := read(t)
	golden := []int{0, 15280, 4536, 1906, 881, 262, 115, 20}
	if got := truth.Spread(); !slices.Equal(got, golden) {
		t.Errorf("people by number of members: got %v, golden %v", got, golden)
	}
	if got := truth.People(); got != 23_000 {
		t.Errorf("got %d people, golden 23000", got)
	}
}

func TestGoldenAudience(t *testing.T) {
	truth := read(t)
	golden := []struct {
		threshold int
		people    int
		readers   oracle.Labels
	}{
		{1, 4097, oracle.Labels{Pooled: 819, Addressed: 621}},
		{2, 1280, oracle.Labels{Pooled: 355, Addressed: 273}},
		{3, 465, oracle.Labels{Pooled: 173, Addressed: 130}},
		{4, 125, oracle.Labels{Pooled: 53, Addressed: 43}},
		{5, 20, oracle.Labels{Pooled: 12, Addressed: 9}},
		{6, 0, oracle.Labels{Pooled: 0, Addressed: 0}},
	}
	for _, want := range golden {
		if got := truth.AtLeast(want.threshold); got != want.people {
			t.Errorf("lovers of contemporary dance in at least %d: got %d, golden %d", want.threshold, got, want.people)
		}
		if got := truth.Labelled("echo-estran", want.threshold); got != want.readers {
			t.Errorf("readers in at least %d: got %+v, golden %+v", want.threshold, got, want.readers)
		}
	}
}

// An audience over fewer members is smaller, and over one is that member's.
func TestAudienceOverSomeMembers(t *testing.T) {
	truth := read(t)
	for _, tally := range truth.Tallies() {
		if got := truth.AtLeast(1, tally.Member); got != tally.Lovers {
			t.Errorf("%s alone: got %d, its own export says %d", tally.Member, got, tally.Lovers)
		}
		if got := truth.AtLeast(2, tally.Member); got != 0 {
			t.Errorf("%s alone: %d people are in two members", tally.Member, got)
		}
	}
	some := truth.AtLeast(2, "grand-confluent", "agora-mouvante", "festival-brise-nuit")
	if all := truth.AtLeast(2); some == 0 || some >= all {
		t.Errorf("three members share %d lovers, all share %d", some, all)
	}
}
