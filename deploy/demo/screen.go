package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"coulisse/protocol"

	"golang.org/x/term"
)

// screen is where the story is told. A terminal sees work in progress; a pipe
// or a file gets the same lines without it.
type screen struct {
	out   io.Writer
	lang  string
	live  bool // the last line may be written over
	color bool
	width int

	// mu guards the line of progress, which others than the teller write.
	mu      sync.Mutex
	showing bool
	shown   time.Time
}

// widest is more than reads well.
const widest = 80

func newScreen(out io.Writer, lang string) *screen {
	s := &screen{out: out, lang: lang, width: widest}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return s
	}
	s.live, s.color = true, os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 40 {
		s.width = min(width, widest)
	}
	return s
}

// say chooses the screen's language and fills in the values, each as %s:
// numbers, times and texts are written as that language does.
func (s *screen) say(t protocol.Text, values ...any) string {
	for i, v := range values {
		switch v := v.(type) {
		case int:
			values[i] = number(int64(v), s.lang)
		case int64:
			values[i] = number(v, s.lang)
		case protocol.Text:
			values[i] = v.In(s.lang)
		case time.Duration:
			values[i] = seconds(v, s.lang)
		}
	}
	if len(values) == 0 {
		return t.In(s.lang)
	}
	return fmt.Sprintf(t.In(s.lang), values...)
}

const (
	indent = "  "
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	plain  = "\x1b[0m"
	erase  = "\r\x1b[K"
)

func (s *screen) styled(style, text string) string {
	if !s.color {
		return text
	}
	return style + text + plain
}

// print writes lines for good.
func (s *screen) print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	for _, line := range lines {
		fmt.Fprintln(s.out, line)
	}
}

// clear takes the line of progress away. The caller holds mu.
func (s *screen) clear() {
	if s.showing {
		fmt.Fprint(s.out, erase)
		s.showing = false
	}
}

// often enough for the eye.
const refresh = 80 * time.Millisecond

// progress shows what is being done, until something else is written. Only a
// terminal sees it.
func (s *screen) progress(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || time.Since(s.shown) < refresh {
		return
	}
	s.clear()
	room := s.width - len(indent) - 2
	if runes := []rune(text); len(runes) > room {
		text = string(runes[:room-1]) + "…"
	}
	fmt.Fprint(s.out, indent+s.styled(faint, "· "+text))
	s.showing, s.shown = true, time.Now()
}

// title opens the story, or its last part.
func (s *screen) title(text string) { s.print(s.styled(bold, text), "") }

// paragraph writes a text at full width.
func (s *screen) paragraph(text string) { s.print(append(wrap(text, s.width), "")...) }

// act opens an act with what it is about.
func (s *screen) act(number int, title, tale string) {
	s.print(s.styled(bold, fmt.Sprintf("%d. %s", number, title)))
	s.indented(tale)
}

func (s *screen) indented(text string) {
	for _, line := range wrap(text, s.width-len(indent)) {
		s.print(indent + line)
	}
}

// done says that something is accomplished, refused that something was kept
// from happening, as it should be.
func (s *screen) done(text string)    { s.marked(s.styled(green, "✓"), text) }
func (s *screen) refused(text string) { s.marked(s.styled(red, "✗"), text) }

func (s *screen) marked(mark, text string) {
	for i, line := range wrap(text, s.width-2*len(indent)) {
		if i > 0 {
			mark = " "
		}
		s.print(indent + mark + " " + line)
	}
}

// quote shows what a program of the federation said, word for word. A line
// that is broken goes on where it began.
func (s *screen) quote(said string) {
	said = strings.TrimPrefix(strings.TrimSpace(said), "coulisse: ")
	for _, line := range strings.Split(said, "\n") {
		words := strings.TrimLeft(line, " ")
		margin := line[:len(line)-len(words)]
		for _, part := range wrap(words, s.width-2*len(indent)-2-len(margin)) {
			s.print(strings.TrimRight(indent+indent+"│ "+margin+part, " "))
		}
	}
}

// command shows a command line that somebody may repeat.
func (s *screen) command(text string) { s.print(indent + indent + text) }

func (s *screen) table(t *table) {
	for _, line := range t.lines() {
		s.print(indent + line)
	}
}

func (s *screen) blank() { s.print("") }
