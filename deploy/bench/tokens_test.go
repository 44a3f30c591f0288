package bench

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// tokenising is the CPU that all parties together spend on one person's token.
type tokenising struct{ ours, circl float64 } // in microseconds

var benchFigure = regexp.MustCompile(`([0-9.]+) (circl-)?µs/person`)

// measureTokens runs the benchmark of package oprf, which compares the two in one
// run and with the same results.
func measureTokens(t *testing.T) (k tokenising) {
	t.Helper()
	out, err := exec.Command("go", "test", "-run=^$", "-bench=^BenchmarkPerson$", "coulisse/crypto/oprf").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, found := range benchFigure.FindAllSubmatch(out, -1) {
		value, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		if len(found[2]) > 0 {
			k.circl = value
		} else {
			k.ours = value
		}
	}
	if k.ours == 0 || k.circl == 0 {
		t.Fatalf("the benchmark does not say what a person costs:\n%s", out)
	}
	return k
}
