package taxonomy

import (
	"strings"
	"testing"

	"coulisse/protocol"
)

// TestTaxonomy checks the file: whoever adds a line learns here what is wrong.
func TestTaxonomy(t *testing.T) {
	owner := make(map[string]Code)
	seen := make(map[Code]bool)
	for _, r := range rows() {
		if seen[r.code] {
			t.Errorf("%s appears twice", r.code)
		}
		seen[r.code] = true
		definition := protocol.Definition{Name: "some-name", Title: r.title, Disciplines: []string{r.code}}
		if err := definition.Check(); err != nil {
			t.Errorf("%s cannot stand in a definition: %v", r.code, err)
		}
		if parent := r.code[:max(0, strings.LastIndexByte(r.code, '.'))]; parent != r.parent || parent != "" && !seen[parent] {
			t.Errorf("%s: the parent is written %q and must come before", r.code, r.parent)
		}
		for _, name := range r.names {
			key := strings.Join(wordsOf(strings.TrimPrefix(name, "=")), " ")
			if key == "" {
				t.Errorf("%s: %q has no word that counts", r.code, name)
			}
			if other, taken := owner[key]; taken && other != r.code {
				t.Errorf("%q names both %s and %s", name, other, r.code)
			}
			owner[key] = r.code
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d codes", len(seen))
	}
	for line := range strings.Lines(data) {
		if !strings.HasPrefix(line, "#") && strings.Count(line, "\t") != 4 {
			t.Errorf("not five columns: %q", line)
		}
	}
}

func TestLookup(t *testing.T) {
	for words, want := range map[string]Code{
		"danse contemporaine": "dance.contemporary", "Contemporary dance": "dance.contemporary",
		"DANSE CONTEMPORAINE": "dance.contemporary", "Dance - contemporary": "dance.contemporary",
		"danses contemporaines": "dance.contemporary", "Danse / contemporaine": "dance.contemporary",
		"dance.contemporary": "dance.contemporary", "théâtre jeune public": "theatre.young",
		"Theatre jeune-public": "theatre.young", "THÉÂTRE": "theatre", "the\u0301a\u0302tre": "theatre",
		"Musique classique": "music.classical", "classical music": "music.classical",
		"Concert de musique classique": "music.classical", "Cirque": "circus", "circus arts": "circus",
		"Musée": "museum", "Festival de jazz de Montréal": "festival.music", "festival": "festival",
		"Soirée jazz au bistro": "music.jazz", "Humour": "humour", "Stand-up": "humour",
		"Œuvre pour chœur": "music.choral", "opéra": "music.opera", "Comédie musicale": "theatre.musical",
		"Spectacle de danse urbaine": "dance.urban", "marionnettes": "theatre.puppet",
		"jeune public": "theatre.young", "cirque jeune public": "circus", "hip-hop": "music.hiphop",
		"Danse hip-hop": "dance.urban", "Ballet classique": "dance.ballet",
		"blues et rock": "music", // two below music: what covers both
	} {
		if got, ok := Lookup(words); got != want || !ok {
			t.Errorf("Lookup(%q) = %q, %v; want %q", words, got, ok, want)
		}
	}
	for _, words := range []string{
		"", "   ", "-", "Le", "hockey", "théâtre et danse", "musée de la danse", "stationnement",
		strings.Repeat("danse ", 100), "un deux trois quatre cinq six sept huit neuf dix onze danse",
	} {
		if got, ok := Lookup(words); ok {
			t.Errorf("Lookup(%q) = %q", words, got)
		}
	}
}

func TestEveryNameIsFound(t *testing.T) {
	for _, r := range rows() {
		for _, name := range r.names {
			if got, ok := Lookup(strings.TrimPrefix(name, "=")); got != r.code || !ok {
				t.Errorf("Lookup(%q) = %q, want %q", name, got, r.code)
			}
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		code, below Code
		want        bool
	}{
		{"dance", "dance", true}, {"dance", "dance.contemporary", true}, {"dance.contemporary", "dance", false},
		{"dan", "dance", false}, {"dance", "music", false}, {"", "dance", false}, {"dance", "", false}, {"", "", false},
		{"a.b", "a.b.c.d", true}, {"a.b", "a.bc", false},
	} {
		if got := Covers(c.code, c.below); got != c.want {
			t.Errorf("Covers(%q, %q) = %v", c.code, c.below, got)
		}
	}
}

func TestTitle(t *testing.T) {
	for _, code := range Codes() {
		if err := Title(code).Check(); err != nil || !Known(code) {
			t.Errorf("%s: %v", code, err)
		}
	}
	if Known("") || Known("opera") || Title("opera") != (protocol.Text{}) {
		t.Error("a code that is not there is known")
	}
}

func FuzzLookup(f *testing.F) {
	for _, seed := range []string{"danse contemporaine", "musée de la danse", "Œ\x80\xff", "\u0301", "a.b;c", "jazz blues rock"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		code, ok := Lookup(words)
		if ok != Known(code) {
			t.Fatalf("Lookup(%q) = %q, %v", words, code, ok)
		}
		if upper, _ := Lookup(strings.ToUpper(words)); ok && upper != code && isASCII(words) {
			t.Fatalf("case matters in %q: %q or %q", words, code, upper)
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Lookup("Spectacle de danse contemporaine")
	}
}
