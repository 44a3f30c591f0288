package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// headSize is how much of a file's start is kept to look at.
const headSize = 64 << 10

// byteSurvey is what the first pass over a file learns from its bytes alone. It
// is an io.Writer.
type byteSurvey struct {
	digest hash.Hash
	total  int64
	head   []byte

	sequences, invalid int64 // of UTF-8, beyond ASCII
	tail               []byte

	// high counts the bytes from 0x80, each with the kinds of its neighbours:
	// an encoding is right if it makes words of them.
	high    [kinds][kinds][128]int64
	before  letterKind
	pending byte // a high byte whose right neighbour is to come, or 0
	beside  letterKind
}

// letterKind is what a neighbouring byte is.
type letterKind uint8

const (
	other letterKind = iota
	lower
	upper
	digit
	kinds
)

func kindOf(c byte) letterKind {
	switch {
	case 'a' <= c && c <= 'z':
		return lower
	case 'A' <= c && c <= 'Z':
		return upper
	case '0' <= c && c <= '9':
		return digit
	}
	return other
}

func newByteSurvey() *byteSurvey { return &byteSurvey{digest: sha256.New()} }

// Write never fails.
func (s *byteSurvey) Write(p []byte) (int, error) {
	s.digest.Write(p)
	s.total += int64(len(p))
	if room := headSize - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	s.countNeighbours(p)
	s.countSequences(p)
	return len(p), nil
}

func digestOf(h hash.Hash) Digest { return Digest(hex.EncodeToString(h.Sum(nil))) }

func (s *byteSurvey) countNeighbours(p []byte) {
	for _, c := range p {
		if s.pending != 0 {
			s.high[s.beside][kindOf(c)][s.pending-0x80]++
			s.pending = 0
		}
		if c >= 0x80 {
			s.pending, s.beside = c, s.before
		}
		s.before = kindOf(c)
	}
}

func (s *byteSurvey) countSequences(p []byte) {
	if len(s.tail) > 0 {
		need := min(utf8.UTFMax-len(s.tail), len(p))
		joined := append(s.tail, p[:need]...)
		if !utf8.FullRune(joined) && need == len(p) {
			s.tail = joined
			return
		}
		before := len(s.tail)
		s.tail = nil
		used := 0
		for used < before {
			r, size := utf8.DecodeRune(joined[used:])
			s.count(r, size)
			used += size
		}
		p = p[used-before:]
	}
	for i := 0; i < len(p); {
		if p[i] < utf8.RuneSelf {
			i++
			continue
		}
		if !utf8.FullRune(p[i:]) {
			s.tail = append([]byte(nil), p[i:]...)
			return
		}
		r, size := utf8.DecodeRune(p[i:])
		s.count(r, size)
		i += size
	}
}

func (s *byteSurvey) count(r rune, size int) {
	switch {
	case r == utf8.RuneError && size == 1:
		s.invalid++
	case r >= utf8.RuneSelf:
		s.sequences++
	}
}

// end counts what the last bytes left open.
func (s *byteSurvey) end() {
	if s.pending != 0 {
		s.high[s.beside][other][s.pending-0x80]++
		s.pending = 0
	}
	if len(s.tail) > 0 {
		s.invalid++
		s.tail = nil
	}
}

// oneByte chooses the encoding whose letters make the best French and English,
// Windows-1252 if two are as good.
func (s *byteSurvey) oneByte() (Encoding, error) {
	best, most := Encoding(""), int64(0)
	for _, candidate := range []struct {
		name Encoding
		set  *charmap.Charmap
	}{{Windows1252, charmap.Windows1252}, {MacRoman, charmap.Macintosh}, {CodePage850, charmap.CodePage850}} {
		var score int64
		for before := range kinds {
			for after := range kinds {
				for i, n := range s.high[before][after] {
					if n > 0 {
						score += n * likelihood(candidate.set.DecodeByte(byte(0x80+i)), before, after)
					}
				}
			}
		}
		if best == "" || score > most {
			best, most = candidate.name, score
		}
	}
	if most < 0 {
		return "", unknownEncoding
	}
	return best, nil
}

// The letters and signs beyond ASCII that French and English texts are made of,
// and those that now and then stand in a name.
var (
	common = setOf("éèàêçôîâûùëïœÉÈÀÊÇÔÎÂ’«»\u00a0–—…°“”‘")
	rare   = setOf("üöäñáíóúãøåßÛÙËÏŒÜÖÄÑÁÍÓÚ€®©™½¼²³•·\u202f")
)

func setOf(letters string) map[rune]bool {
	set := make(map[rune]bool)
	for _, r := range letters {
		set[r] = true
	}
	return set
}

// likelihood scores a character between its neighbours.
func likelihood(r rune, before, after letterKind) int64 {
	letters := (before == lower || before == upper) && (after == lower || after == upper)
	alone := before == other && after == other
	switch {
	case r == utf8.RuneError || unicode.IsControl(r):
		return -20
	case !common[r] && !rare[r]:
		return -6
	case !unicode.IsLetter(r) && r != '’' && letters:
		return -2 // a sign inside a word
	case !unicode.IsLetter(r):
		return weight(r)
	case before == digit || after == digit:
		return -4 // a letter inside a number
	case unicode.IsUpper(r) && before == lower, unicode.IsLower(r) && before == upper && after == upper:
		return -6 // a capital inside a word, or the reverse
	case alone && r != 'à' && r != 'À':
		return weight(r) - 8 // a letter that is a word
	}
	return weight(r)
}

func weight(r rune) int64 {
	if common[r] {
		return 8
	}
	return 3
}
