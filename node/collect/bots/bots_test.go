package bots

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// lines reads a list of user agents; # begins a comment.
func lines(t *testing.T, path string) (all []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		if s.Text() != "" && !strings.HasPrefix(s.Text(), "#") {
			all = append(all, s.Text())
		}
	}
	return all
}

// Each list's own examples are found, by one of the two.
func TestKnownRobots(t *testing.T) {
	for _, userAgent := range lines(t, "testdata/instances.txt") {
		if !Is(userAgent) {
			t.Errorf("%q is not found", userAgent)
		}
	}
}

// Browsers that CrawlerDetect's project has collected are none.
func TestBrowsers(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/x-way/crawlerdetect").Output()
	if err != nil {
		t.Fatal(err)
	}
	wrong, all := 0, lines(t, filepath.Join(strings.TrimSpace(string(out)), "testdata", "devices.txt"))
	for i := 0; i < len(all); i += 1 + len(all)/200 {
		if Is(all[i]) {
			wrong++
			t.Logf("%q is taken for a robot", all[i])
		}
	}
	if len(all) < 1000 || wrong > 2 {
		t.Errorf("%d of some 200 browsers are taken for robots", wrong)
	}
}

// The plain texts are looked for beside the expressions: together they find
// what the list as one expression finds.
func TestTextsAndExpressions(t *testing.T) {
	p := compiled()
	if len(p.texts) < 100 {
		t.Errorf("%d plain texts", len(p.texts))
	}
	var all []string
	for line := range strings.Lines(list) {
		if !strings.HasPrefix(line, "#") {
			all = append(all, strings.TrimSuffix(line, "\n"))
		}
	}
	whole := regexp.MustCompile(strings.Join(all, "|"))
	robots := lines(t, "testdata/instances.txt")
	for i := 0; i < len(robots); i += 20 {
		if p.match(robots[i]) != whole.MatchString(robots[i]) {
			t.Errorf("%q", robots[i])
		}
	}
}

func BenchmarkIs(b *testing.B) {
	for b.Loop() {
		Is("Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0")
	}
}
