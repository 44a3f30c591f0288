package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coulisse/deploy/load"
	"coulisse/protocol/match"
)

// country is a round of 150 members, each a process, and the matcher one.
type country struct {
	rows    int64 // of the drawn population
	exact   int64
	members usage // all of them: their CPU, and the most that any of them held
	largest match.Receipt
	matcher usage
	found   matched
	upload  int64 // bytes
	// profiles as text, of the largest member and of the matcher
	memberProfile, matcherProfile string
}

const countryMembers = 150

// measureCountry runs a round and holds what the matcher found, before noise,
// against the exact answer.
func measureCountry(t *testing.T, rows int64, profiled bool) (c country) {
	t.Helper()
	folder, err := os.MkdirTemp("", "country")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	j := job{Rows: rows, Members: countryMembers, Folder: folder}
	p, err := j.population()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.Count(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	c.rows, c.exact = answer.Rows, answer.Total
	for member := range countryMembers {
		j.Member, j.Profile = member, ""
		if profiled && member == 0 {
			j.Profile = filepath.Join(folder, "member.prof")
		}
		receipt, used := as[match.Receipt](t, "member", j)
		if int64(receipt.People) != answer.Members[member].People {
			t.Fatalf("%s uploaded %d people of %d", load.Name(member), receipt.People, answer.Members[member].People)
		}
		j.Receipts = append(j.Receipts, receipt)
		c.members.CPU += used.CPU
		c.members.Peak = max(c.members.Peak, used.Peak)
		c.upload += 16 * int64(receipt.Count)
	}
	c.largest = j.Receipts[0]
	j.Profile = ""
	if profiled {
		j.Profile = filepath.Join(folder, "matcher.prof")
	}
	c.found, c.matcher = as[matched](t, "matcher", j)
	checkCountry(t, j, c.found, answer)
	if profiled {
		c.memberProfile = mustTop(t, filepath.Join(folder, "member.prof"))
		c.matcherProfile = mustTop(t, filepath.Join(folder, "matcher.prof"))
	}
	t.Logf("%d rows: members %.1f CPU-s, at most %d MiB; matcher %.1f CPU-s, %s + %s, %d MiB",
		c.rows, c.members.CPU.Seconds(), c.members.Peak>>20, c.matcher.CPU.Seconds(), c.found.Accept.Round(time.Millisecond), c.found.Run.Round(time.Millisecond), c.matcher.Peak>>20)
	return c
}

func checkCountry(t *testing.T, j job, found matched, answer load.Answer) {
	t.Helper()
	if found.Total != answer.Total {
		t.Errorf("the matcher found %d people, the exact answer is %d", found.Total, answer.Total)
	}
	received := 0
	for i, m := range answer.Members {
		if found.Holds[i] != m.Holds {
			t.Errorf("%s: %d people, the exact answer is %d", load.Name(i), found.Holds[i], m.Holds)
		}
		if j.receives(i) {
			if found.Labels[received] != m.Holds {
				t.Errorf("%s was told of %d people, the exact answer is %d", load.Name(i), found.Labels[received], m.Holds)
			}
			received++
		}
	}
}

// as runs a role in a process of its own.
func as[T any](t *testing.T, role string, j job) (out T, used usage) {
	t.Helper()
	args, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var said report
	if err := json.Unmarshal(child(t, role, string(args)), &said); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(said.Result, &out); err != nil {
		t.Fatal(err)
	}
	return out, usage{Name: role, CPU: said.CPU, Peak: said.Peak}
}

func mustTop(t *testing.T, path string) string {
	t.Helper()
	text, err := top(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestCountrySmall is the country in small, in every run of the tests.
func TestCountrySmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts 150 processes")
	}
	measureCountry(t, 31_000, false)
}
