package xlsx

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// markup reads the XML of a part, token by token, in constant memory. It knows
// what Office Open XML uses: UTF-8, elements, attributes, text and CDATA. A
// document type is refused, since no workbook has one and entities grow in it.
// encoding/xml reads the same, eight times slower.
type markup struct {
	source io.ReadCloser
	buf    []byte
	start  int // buf[start:end] is read and not yet consumed
	end    int
	ended  bool
	total  int64

	// Of the token last returned; valid until the next call.
	name       []byte // of a tag, without its prefix
	attributes []byte // of an opening tag, raw
	text       []byte // unescaped
	alone      bool   // the closing tag of <a/> comes next
}

// token is a kind of token.
type token int

const (
	opening token = iota + 1
	closingTag
	words
)

func newMarkup(source io.ReadCloser) *markup {
	return &markup{source: source, buf: make([]byte, 32<<10)}
}

func (m *markup) close() error {
	if err := m.source.Close(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// is reports whether the tag has a name.
func (m *markup) is(name string) bool { return string(m.name) == name }

// next returns the next token, or io.EOF.
func (m *markup) next() (token, error) {
	if m.alone {
		m.alone = false
		return closingTag, nil
	}
	for {
		for m.start == m.end {
			if m.ended {
				return 0, io.EOF
			}
			if err := m.fill(); err != nil {
				return 0, err
			}
		}
		if m.buf[m.start] != '<' {
			return m.run()
		}
		switch kind, err := m.tag(); {
		case err != nil:
			return 0, err
		case kind != 0:
			return kind, nil
		}
	}
}

// run takes the text up to the next tag.
func (m *markup) run() (token, error) {
	size, err := m.find(0, []byte{'<'})
	if err != nil {
		return 0, err
	}
	if size < 0 {
		size = m.end - m.start
	}
	text := m.buf[m.start : m.start+size]
	m.start += size
	var ok bool
	if m.text, ok = unescaped(text); !ok {
		return 0, fmt.Errorf("%w: bad text", ErrDamaged)
	}
	return words, nil
}

// find returns the offset of a mark at or behind an offset, -1 if there is none.
func (m *markup) find(from int, mark []byte) (int, error) {
	for {
		if i := bytes.Index(m.buf[m.start+from:m.end], mark); i >= 0 {
			return from + i, nil
		}
		from = max(from, m.end-m.start-len(mark)+1)
		if m.ended {
			return -1, nil
		}
		if err := m.fill(); err != nil {
			return 0, err
		}
	}
}

// tag takes what starts with "<"; kind is 0 for what says nothing.
func (m *markup) tag() (kind token, err error) {
	for m.end-m.start < 2 && !m.ended {
		if err := m.fill(); err != nil {
			return 0, err
		}
	}
	if m.end-m.start > 1 && (m.buf[m.start+1] == '?' || m.buf[m.start+1] == '!') {
		if kind, quiet, err := m.quiet(); quiet || err != nil {
			return kind, err
		}
	}
	size, err := m.tagEnd()
	if err != nil {
		return 0, err
	}
	inner := m.buf[m.start+1 : m.start+size]
	m.start += size + 1
	return m.element(inner)
}

// quiet takes a comment or an instruction, which say nothing, or text that is
// not to be unescaped; it reports whether there was one.
func (m *markup) quiet() (kind token, found bool, err error) {
	for _, quiet := range []struct{ from, to string }{{"<?", "?>"}, {"<!--", "-->"}, {"<![CDATA[", "]]>"}} {
		is, err := m.begins(quiet.from)
		if err != nil {
			return 0, false, err
		}
		if !is {
			continue
		}
		size, err := m.find(len(quiet.from), []byte(quiet.to))
		if err != nil || size < 0 {
			return 0, false, cut(err)
		}
		m.text = m.buf[m.start+len(quiet.from) : m.start+size]
		m.start += size + len(quiet.to)
		if quiet.from != "<![CDATA[" {
			return 0, true, nil
		}
		if !utf8.Valid(m.text) {
			return 0, false, fmt.Errorf("%w: bad text", ErrDamaged)
		}
		return words, true, nil
	}
	return 0, false, nil
}

// element reads what stands between "<" and ">".
func (m *markup) element(inner []byte) (token, error) {
	kind := opening
	if rest, ok := bytes.CutPrefix(inner, []byte{'/'}); ok {
		kind, inner = closingTag, rest
	} else if rest, ok := bytes.CutSuffix(inner, []byte{'/'}); ok {
		m.alone, inner = true, rest
	}
	end := bytes.IndexAny(inner, " \t\r\n")
	if end < 0 {
		end = len(inner)
	}
	m.name, m.attributes = inner[:end], inner[end:]
	if i := bytes.IndexByte(m.name, ':'); i >= 0 {
		m.name = m.name[i+1:]
	}
	if len(m.name) == 0 || inner[0] == '!' {
		return 0, fmt.Errorf("%w: bad tag", ErrDamaged)
	}
	return kind, nil
}

func (m *markup) begins(with string) (bool, error) {
	for m.end-m.start < len(with) && !m.ended {
		if err := m.fill(); err != nil {
			return false, err
		}
	}
	return bytes.HasPrefix(m.buf[m.start:m.end], []byte(with)), nil
}

// tagEnd returns the offset of the ">" that ends the tag: not one in quotes.
func (m *markup) tagEnd() (int, error) {
	quote := byte(0)
	for i := 1; ; i++ {
		for m.start+i == m.end {
			if m.ended {
				return 0, cut(nil)
			}
			if err := m.fill(); err != nil {
				return 0, err
			}
		}
		switch c := m.buf[m.start+i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i, nil
		}
	}
}

// fill reads more behind what is there.
func (m *markup) fill() error {
	if m.start > 0 {
		m.end = copy(m.buf, m.buf[m.start:m.end])
		m.start = 0
	}
	if m.end == len(m.buf) {
		if m.end >= maxToken {
			return fmt.Errorf("%w: a cell or tag has more than %d bytes", ErrTooLarge, maxToken)
		}
		m.buf = append(m.buf, make([]byte, len(m.buf))...)
	}
	n, err := m.source.Read(m.buf[m.end:])
	m.end += n
	if m.total += int64(n); m.total > maxPart {
		return fmt.Errorf("%w: a part has more than %d bytes", ErrTooLarge, int64(maxPart))
	}
	switch {
	case err == io.EOF:
		m.ended = true
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

func cut(err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: a part ends too soon", ErrDamaged)
}

// attribute returns the value of an attribute, "" if the tag has none. A name
// that starts with a colon is found behind any prefix.
func (m *markup) attribute(name string) string {
	value, _ := unescaped(bytes.Clone(m.raw(name)))
	return string(value)
}

// raw is attribute without unescaping and without a copy.
func (m *markup) raw(name string) []byte {
	rest := m.attributes
	for {
		rest = trimmed(rest)
		equals := bytes.IndexByte(rest, '=')
		if equals < 0 {
			return nil
		}
		key := rest[:equals]
		for len(key) > 0 && blank(key[len(key)-1]) {
			key = key[:len(key)-1]
		}
		rest = trimmed(rest[equals+1:])
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			return nil
		}
		end := bytes.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return nil
		}
		if string(key) == name || name[0] == ':' && bytes.HasSuffix(key, []byte(name)) {
			return rest[1 : 1+end]
		}
		rest = rest[2+end:]
	}
}

func blank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func trimmed(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	return b
}

var entities = map[string]byte{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

// unescaped resolves entities, in place; ok is false if there is one that XML
// does not know, or what results is no UTF-8.
func unescaped(text []byte) (_ []byte, ok bool) {
	first := bytes.IndexByte(text, '&')
	if first < 0 {
		return text, utf8.Valid(text)
	}
	out := text[:first]
	for i := first; i < len(text); {
		if text[i] != '&' {
			out = append(out, text[i])
			i++
			continue
		}
		end := bytes.IndexByte(text[i:min(len(text), i+12)], ';')
		if end < 0 {
			return nil, false
		}
		name := text[i+1 : i+end]
		i += end + 1
		if c, known := entities[string(name)]; known {
			out = append(out, c)
			continue
		}
		r, known := reference(name)
		if !known {
			return nil, false
		}
		out = utf8.AppendRune(out, r)
	}
	return out, utf8.Valid(out)
}

// reference reads "#233" or "#xE9".
func reference(name []byte) (rune, bool) {
	digits, ok := bytes.CutPrefix(name, []byte{'#'})
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := bytes.CutPrefix(digits, []byte{'x'}); ok {
		base, digits = 16, hex
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	return rune(n), err == nil && utf8.ValidRune(rune(n)) && n <= utf8.MaxRune
}
