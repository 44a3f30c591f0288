// Package bots tells robots that name themselves from browsers, by two lists
// that others keep: CrawlerDetect's (github.com/x-way/crawlerdetect) and
// crawler-user-agents (patterns.txt).
//
// A robot that calls itself a browser is not found: this cleans figures, and
// keeps nobody out.
package bots

import (
	_ "embed"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/x-way/crawlerdetect"
)

//go:embed patterns.txt
var list string

// patterns is what the list comes to. Most of it is plain text, which is looked
// for a hundred times faster than an expression of a thousand branches.
type patterns struct {
	texts []string
	rest  *regexp.Regexp
}

// compiled is the list, read at the first look.
var compiled = sync.OnceValue(func() (p patterns) {
	var rest []string
	for line := range strings.Lines(list) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "#") {
			continue
		}
		tree, err := syntax.Parse(line, syntax.Perl)
		if err == nil && tree.Op == syntax.OpLiteral && tree.Flags&syntax.FoldCase == 0 {
			p.texts = append(p.texts, string(tree.Rune))
		} else {
			rest = append(rest, line)
		}
	}
	p.rest = regexp.MustCompile(strings.Join(rest, "|"))
	return p
})

func (p patterns) match(s string) bool {
	for _, text := range p.texts {
		if strings.Contains(s, text) {
			return true
		}
	}
	return p.rest.MatchString(s)
}

// Is reports whether a user agent is a robot's. It takes a good part of a
// millisecond: whoever asks often remembers the answers.
func Is(userAgent string) bool {
	return compiled().match(userAgent) || crawlerdetect.IsCrawler(userAgent)
}
