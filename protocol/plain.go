package protocol

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Most of what a federation reads and writes is plain: JSON in canonical form
// (RFC 8785) with nothing in its strings that has more than one spelling, and
// small integers. Here that is recognised in one pass. What is not recognised
// may still be canonical: package json decides.

// maxNesting bounds the depth of what is recognised.
const maxNesting = 32

// isPlain recognises one plain value.
func isPlain(raw []byte) bool {
	rest, ok := plainValue(raw, maxNesting)
	return ok && len(rest) == 0
}

func plainValue(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 || depth == 0 {
		return b, false
	}
	switch b[0] {
	case '"':
		_, rest, ok = plainString(b)
		return rest, ok
	case '{':
		return plainObject(b[1:], depth-1)
	case '[':
		return plainArray(b[1:], depth-1)
	case 't':
		return bytes.CutPrefix(b, []byte("true"))
	case 'f':
		return bytes.CutPrefix(b, []byte("false"))
	}
	return plainInteger(b)
}

// plainObject reads what follows an opening brace: names that ascend.
func plainObject(b []byte, depth int) (rest []byte, ok bool) {
	if rest, ok = bytes.CutPrefix(b, []byte("}")); ok {
		return rest, true
	}
	for last := []byte(nil); ; {
		name, rest, ok := plainString(b)
		// Names beyond ASCII sort otherwise than their bytes.
		if !ok || !isASCII(name) || last != nil && bytes.Compare(last, name) >= 0 {
			return b, false
		}
		if rest, ok = bytes.CutPrefix(rest, []byte(":")); !ok {
			return b, false
		}
		if rest, ok = plainValue(rest, depth); !ok || len(rest) == 0 {
			return b, false
		}
		switch last, b = name, rest[1:]; rest[0] {
		case ',':
		case '}':
			return b, true
		default:
			return b, false
		}
	}
}

// plainArray reads what follows an opening bracket.
func plainArray(b []byte, depth int) (rest []byte, ok bool) {
	if rest, ok = bytes.CutPrefix(b, []byte("]")); ok {
		return rest, true
	}
	for {
		if rest, ok = plainValue(b, depth); !ok || len(rest) == 0 {
			return b, false
		}
		switch b = rest[1:]; rest[0] {
		case ',':
		case ']':
			return b, true
		default:
			return b, false
		}
	}
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}

// plainString reads a string without an escape in it.
func plainString(b []byte) (content, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, b, false
	}
	ascii := true
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			content = b[1:i]
			return content, b[i+1:], ascii || utf8.Valid(content)
		case c < ' ' || c == '\\':
			return nil, b, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, b, false
}

// plainInteger reads an integer of at most 15 digits, all of which JSON keeps.
func plainInteger(b []byte) (rest []byte, ok bool) {
	digits := b
	if len(b) > 0 && b[0] == '-' {
		digits = b[1:]
	}
	n := 0
	for n < len(digits) && '0' <= digits[n] && digits[n] <= '9' {
		n++
	}
	if n == 0 || n > 15 || digits[0] == '0' && (n > 1 || len(digits) < len(b)) {
		return b, false
	}
	return digits[n:], true
}

// recogniser is a type with a form that it reads by itself, as [Decode] would,
// or says that it does not.
type recogniser interface{ recognise(raw []byte) bool }

// recognise reads an envelope whose parts are plain:
//
//	{"body":…,"by":"…","head":{"root":"…","size":…},"sig":"…"}
func (s *Signed[T]) recognise(raw []byte) bool {
	r := reader{raw, true}
	r.expect(`{"body":`)
	body := r.value()
	r.expect(`,"by":`)
	by := r.text()
	r.expect(`,"head":{"root":"`)
	root := r.hash()
	r.expect(`","size":`)
	size := r.integer()
	r.expect(`},"sig":`)
	sig := r.text()
	r.expect(`}`)
	if !r.ends() {
		return false
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(sig)))
	n, err := base64.StdEncoding.Strict().Decode(decoded, sig)
	if err != nil || n == 0 {
		return false
	}
	*s = Signed[T]{Body: bytes.Clone(body), By: PartyID(by), Head: Head{Root: root, Size: size}, Sig: decoded[:n]}
	return true
}

// recognise reads a ballot:
//
//	{"for":"…","votes":[{"choice":"…","proposal":"…"},…]}
func (b *Ballot) recognise(raw []byte) bool {
	r := reader{raw, true}
	r.expect(`{`)
	var principal []byte
	if r.takes(`"for":`) {
		if principal = r.text(); len(principal) == 0 {
			return false // left out when empty
		}
		r.expect(`,`)
	}
	r.expect(`"votes":[`)
	votes := make([]Vote, 0, min(len(r.rest)/shortestVote, MaxVotes))
	for more := r.ok; more; more = r.ok && r.takes(`,`) {
		if len(votes) == MaxVotes {
			return false // it may be canonical, and is no ballot
		}
		r.expect(`{"choice":`)
		choice := r.text()
		r.expect(`,"proposal":"`)
		votes = append(votes, Vote{Choice: choiceOf(choice), Proposal: r.hash()})
		r.expect(`"}`)
	}
	r.expect(`]}`)
	if !r.ends() {
		return false
	}
	*b = Ballot{For: MemberID(principal), Votes: votes}
	return true
}

// shortestVote is the length of the least that is recognised as a vote.
const shortestVote = len(`{"choice":"","proposal":""}`) + 2*len(Hash{})

// choiceOf is the choice that is spelled so; the three that are make no copies.
func choiceOf(text []byte) Choice {
	for _, c := range []Choice{For, Against, Abstain} {
		if string(text) == string(c) {
			return c
		}
	}
	return Choice(text)
}

// reader takes plain parts off a text, and remembers when one was not there.
type reader struct {
	rest []byte
	ok   bool
}

func (r *reader) ends() bool { return r.ok && len(r.rest) == 0 }

func (r *reader) expect(s string) {
	if r.ok = r.ok && len(r.rest) >= len(s) && string(r.rest[:len(s)]) == s; r.ok {
		r.rest = r.rest[len(s):]
	}
}

// takes is expect of what may be missing.
func (r *reader) takes(s string) bool {
	if !bytes.HasPrefix(r.rest, []byte(s)) {
		return false
	}
	r.expect(s)
	return true
}

func (r *reader) value() []byte {
	rest, ok := plainValue(r.rest, maxNesting)
	value := r.rest[:len(r.rest)-len(rest)]
	r.rest, r.ok = rest, r.ok && ok
	return value
}

func (r *reader) text() []byte {
	content, rest, ok := plainString(r.rest)
	r.rest, r.ok = rest, r.ok && ok
	return content
}

func (r *reader) hash() (h Hash) {
	if r.ok = r.ok && len(r.rest) >= 2*len(h) && h.UnmarshalText(r.rest[:2*len(h)]) == nil; r.ok {
		r.rest = r.rest[2*len(h):]
	}
	return h
}

func (r *reader) integer() int64 {
	rest, ok := plainInteger(r.rest)
	digits := r.rest[:len(r.rest)-len(rest)]
	r.rest, r.ok = rest, r.ok && ok
	if !r.ok {
		return 0
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	r.ok = err == nil
	return n
}
