package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// looksLikeJSON reports a text that starts with an object, or a list of them.
func looksLikeJSON(sample []byte) bool {
	text := bytes.TrimLeft(sample, jsonBlanks)
	if list, ok := bytes.CutPrefix(text, []byte{'['}); ok {
		list = bytes.TrimLeft(list, jsonBlanks)
		return len(list) > 0 && (list[0] == '{' || list[0] == ']')
	}
	return len(text) > 0 && text[0] == '{'
}

const jsonBlanks = " \t\r\n"

// json recognises the columns of a file of JSON: every name that one of its
// objects uses, those inside another object behind its name and a point. That
// takes a pass of its own, since an object leaves out what it does not know.
func (j *job) json(open func() (io.Reader, error), sample []byte) (layout, error) {
	lines := aLineEach(sample)
	file, err := open()
	if err != nil {
		return layout{}, err
	}
	first := newJSONRows(file, lines)
	first.discover = true
	some := false
	for {
		r, err := first.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return layout{}, err
		}
		some = some || r.broken == ""
	}
	if !some {
		return layout{}, notObjects
	}
	h, err := understand(first.names, j.options.Kind, j.options.Mapping)
	switch {
	case err != nil:
		return layout{}, err
	case !h.complete(j.options.Kind, j.options.Mapping):
		return layout{}, h.missing(j.options.Kind, j.options.Mapping)
	}
	return layout{format: JSON, header: h, open: func() (rows, error) {
		file, err := open()
		if err != nil {
			return nil, err
		}
		t := newJSONRows(file, lines)
		t.names, t.column = first.names, first.column
		return t, nil
	}}, nil
}

// aLineEach reports whether the first line of a file is an object by itself:
// then every line is, and a bad one costs no other.
func aLineEach(sample []byte) bool {
	text := bytes.TrimLeft(sample, jsonBlanks)
	line, _, found := bytes.Cut(text, []byte{'\n'})
	return text[0] == '{' && (json.Valid(line) || !found)
}

// jsonRows reads the objects of a file of JSON, in constant memory.
type jsonRows struct {
	source   *bufio.Reader
	lines    bool // an object a line, or anywhere behind one another
	discover bool // names are added as they come
	names    []string
	column   map[string]int

	line  int64
	begun bool
	raw   []byte
	path  []byte
	cells [][]byte
	typed []bool
	said  []bool
}

func newJSONRows(file io.Reader, lines bool) *jsonRows {
	return &jsonRows{source: bufio.NewReaderSize(file, readSize), lines: lines, line: 1, column: make(map[string]int)}
}

// next returns the next object as a row. Empty lines are no rows.
func (t *jsonRows) next() (row, error) {
	for {
		r := row{line: t.line}
		var whole bool
		var err error
		if t.lines {
			whole, err = t.aLine()
		} else {
			r.line, whole, err = t.anObject()
		}
		raw := bytes.Trim(t.raw, jsonBlanks)
		switch {
		case err != nil:
			return row{}, err
		case !whole:
			r.broken = ReasonRowTooLong
		case len(raw) == 0:
			continue
		case !utf8.Valid(raw):
			r.broken = ReasonBadEncoding
		case raw[0] != '{' || !json.Valid(raw):
			r.broken = ReasonBadJSON
		default:
			r.broken = t.read(raw)
		}
		if r.broken == "" {
			r.cells, r.typed = t.cells, t.typed
		}
		return r, nil
	}
}

// aLine takes a line; whole is false if it is too long to be kept.
func (t *jsonRows) aLine() (whole bool, err error) {
	t.raw = t.raw[:0]
	whole = true
	for some := false; ; some = true {
		piece, err := t.source.ReadSlice('\n')
		if len(t.raw)+len(piece) > maxRow {
			whole, t.raw = false, t.raw[:0]
		}
		if whole {
			t.raw = append(t.raw, piece...)
		}
		switch {
		case err == nil:
			t.line++
			return whole, nil
		case err == io.EOF && (some || len(piece) > 0):
			return whole, nil
		case err != bufio.ErrBufferFull:
			return whole, err
		}
	}
}

// anObject takes the next object of a list, or of a file with an object behind
// another.
func (t *jsonRows) anObject() (line int64, whole bool, err error) {
	t.raw = t.raw[:0]
	for {
		c, err := t.take()
		switch {
		case err != nil:
			return 0, false, err
		case bytes.IndexByte([]byte(jsonBlanks+",]"), c) >= 0, c == '[' && !t.begun:
			t.begun = t.begun || c == '['
			continue
		case c != '{':
			return 0, false, brokenJSON(t.line)
		}
		t.begun = true
		break
	}
	line, whole = t.line, true
	t.raw = append(t.raw, '{')
	for depth, text, escaped := 1, false, false; depth > 0; {
		c, err := t.take()
		if errors.Is(err, io.EOF) {
			return 0, false, brokenJSON(line)
		}
		if err != nil {
			return 0, false, err
		}
		if whole = whole && len(t.raw) < maxRow; whole {
			t.raw = append(t.raw, c)
		}
		switch {
		case escaped:
			escaped = false
		case text:
			escaped, text = c == '\\', c != '"'
		case c == '"':
			text = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return line, whole, nil
}

func (t *jsonRows) take() (byte, error) {
	c, err := t.source.ReadByte()
	if c == '\n' && err == nil {
		t.line++
	}
	return c, err
}

// read makes cells of an object that is known to be valid.
func (t *jsonRows) read(raw []byte) Reason {
	for i := range t.cells {
		t.cells[i], t.typed[i], t.said[i] = nil, false, false
	}
	t.path = t.path[:0]
	_, reason := t.members(raw)
	return reason
}

// maxNesting bounds objects in objects; their names are joined to one heading.
const maxNesting = 8

// members reads an object's members and returns what is behind it.
func (t *jsonRows) members(raw []byte) (rest []byte, reason Reason) {
	prefix := len(t.path)
	raw = bytes.TrimLeft(raw[1:], jsonBlanks)
	for raw[0] != '}' {
		var key []byte
		key, raw = jsonString(raw)
		t.path = append(t.path[:prefix], key...)
		raw = bytes.TrimLeft(raw, jsonBlanks)[1:] // the colon
		if raw, reason = t.member(bytes.TrimLeft(raw, jsonBlanks)); reason != "" {
			return nil, reason
		}
		raw = bytes.TrimLeft(raw, jsonBlanks)
		if raw[0] == ',' {
			raw = bytes.TrimLeft(raw[1:], jsonBlanks)
		}
	}
	t.path = t.path[:prefix]
	return raw[1:], ""
}

// member reads the value of the name at hand.
func (t *jsonRows) member(raw []byte) (rest []byte, reason Reason) {
	if raw[0] == '{' {
		if t.path = append(t.path, '.'); bytes.Count(t.path, []byte{'.'}) > maxNesting {
			return nil, ReasonTooManyCells
		}
		return t.members(raw)
	}
	value, rest, typed := jsonValue(raw)
	i, known := t.column[string(t.path)]
	if !known && t.discover && len(t.names) < maxColumns && len(t.path) <= maxEvent {
		i, known = len(t.names), true
		t.names = append(t.names, string(t.path))
		t.column[string(t.path)] = i
	}
	if !known {
		return rest, ReasonTooManyCells
	}
	for len(t.cells) < len(t.names) {
		t.cells, t.typed, t.said = append(t.cells, nil), append(t.typed, false), append(t.said, false)
	}
	switch {
	case t.said[i]:
		return nil, ReasonBadJSON
	case len(value) > maxField:
		return nil, ReasonFieldTooLong
	}
	t.cells[i], t.typed[i], t.said[i] = value, typed, true
	return rest, ""
}

// jsonValue reads a value that is no object: a text, a number, yes or no,
// nothing, or a list as it is written.
func jsonValue(raw []byte) (value, rest []byte, typed bool) {
	switch raw[0] {
	case '"':
		value, rest = jsonString(raw)
		return value, rest, false
	case '[':
		end := listEnd(raw)
		return raw[:end], raw[end:], false
	}
	end := bytes.IndexAny(raw, jsonBlanks+",}]")
	value, rest = raw[:end], raw[end:]
	switch value[0] {
	case 'n':
		return nil, rest, false
	case 't', 'f':
		return value, rest, false
	}
	if bytes.ContainsAny(value, "eE") {
		if f, err := strconv.ParseFloat(string(value), 64); err == nil && f < 1e21 && f > -1e21 {
			value = strconv.AppendFloat(nil, f, 'f', -1, 64)
		}
	}
	return value, rest, true
}

// jsonString reads a text, in place if nothing in it is escaped.
func jsonString(raw []byte) (value, rest []byte) {
	end := 1
	for ; raw[end] != '"'; end++ {
		if raw[end] == '\\' {
			end++
		}
	}
	value, rest = raw[1:end], raw[end+1:]
	if bytes.IndexByte(value, '\\') < 0 {
		return value, rest
	}
	var s string
	if err := json.Unmarshal(raw[:end+1], &s); err != nil {
		return nil, rest // cannot be: the whole was valid
	}
	return []byte(s), rest
}

func listEnd(raw []byte) int {
	depth, text := 0, false
	for i := 0; ; i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

var notObjects = problem(ProblemStructure,
	"Le fichier est du JSON, mais pas une liste d'objets : exportez un objet par ligne (JSON Lines), ou en classeur Excel (.xlsx).",
	"The file is JSON, but no list of objects: export an object a line (JSON Lines), or an Excel workbook (.xlsx).")

func brokenJSON(line int64) error {
	return problem(ProblemStructure,
		"Rien n'a été importé : le JSON est interrompu ou mal formé à partir de la ligne %d. Exportez-le de nouveau, si possible avec un objet par ligne (JSON Lines).",
		"Nothing was imported: the JSON is cut or badly formed from line %d on. Export it again, if possible with an object a line (JSON Lines).", line)
}
