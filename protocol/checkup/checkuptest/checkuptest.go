// Package checkuptest reads the reports of doctors, for the tests of the nodes'
// and of the coordinator's.
package checkuptest

import (
	"strings"
	"testing"

	"coulisse/protocol/checkup"
)

// Says reports whether a report has that finding, with words in both languages.
func Says(t testing.TB, r checkup.Report, g checkup.Gravity, words string) bool {
	t.Helper()
	for _, f := range r {
		if f.What.Check() != nil || f.Do.Check() != nil || strings.Contains(f.What.FR+f.What.EN+f.Do.FR+f.Do.EN, "%!") {
			t.Errorf("%+v", f)
		}
		if f.Gravity == g && strings.Contains(f.What.EN+" "+f.Do.EN, words) {
			return true
		}
	}
	return false
}
