package demo

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// needles are secrets in every form in which a careless program would let them
// out, to be looked for in whatever has left a member's node.
type needles struct {
	forms [][]byte
	what  []string
	// byWindow finds the forms that begin with a window of bytes.
	byWindow map[[window]byte][]int32
}

// window is the shortest form: what is shorter would be found by chance.
const window = 10

func newNeedles() *needles { return &needles{byWindow: map[[window]byte][]int32{}} }

func (n *needles) put(what string, form []byte) {
	if len(form) < window {
		panic(fmt.Sprintf("needles: the form %s has %d bytes, too few to be looked for", what, len(form)))
	}
	key := [window]byte(form)
	for _, i := range n.byWindow[key] {
		if bytes.Equal(n.forms[i], form) {
			return
		}
	}
	n.byWindow[key] = append(n.byWindow[key], int32(len(n.forms)))
	n.forms, n.what = append(n.forms, form), append(n.what, what)
}

// identifier hides an address or telephone number, as it is and hashed.
func (n *needles) identifier(id string) {
	n.secret("identifier", []byte(id))
	n.put("identifier, upper case", []byte(strings.ToUpper(id)))
	if escaped := url.QueryEscape(id); escaped != id {
		n.put("identifier, escaped", []byte(escaped))
	}
	n.put("identifier, UTF-16LE", wide(id, binary.LittleEndian))
	n.put("identifier, UTF-16BE", wide(id, binary.BigEndian))
	sha2, sha1, md := sha256.Sum256([]byte(id)), sha1.Sum([]byte(id)), md5.Sum([]byte(id))
	n.secret("SHA-256 of an identifier", sha2[:])
	n.secret("SHA-1 of an identifier", sha1[:])
	n.secret("MD5 of an identifier", md[:])
}

// secret hides bytes, as they are and in hexadecimal and base64.
func (n *needles) secret(what string, b []byte) {
	n.put(what, b)
	n.put(what+", hexadecimal", []byte(hex.EncodeToString(b)))
	n.put(what+", HEXADECIMAL", []byte(strings.ToUpper(hex.EncodeToString(b))))
	for shift := range 3 {
		n.put(what+", base64", inside(base64.RawStdEncoding, b, shift))
		n.put(what+", base64url", inside(base64.RawURLEncoding, b, shift))
	}
}

// inside is how bytes read within the base64 of more, that many bytes in: only
// the characters that no neighbour has a part in.
func inside(encoding *base64.Encoding, b []byte, shift int) []byte {
	text := encoding.EncodeToString(append(make([]byte, shift), b...))
	first := []int{0, 2, 3}[shift]
	last := (shift + len(b)) * 8 / 6
	return []byte(text[first:last])
}

func wide(s string, order binary.ByteOrder) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b := make([]byte, 2)
		order.PutUint16(b, unit)
		out = append(out, b...)
	}
	return out
}

// in lists what is found in a haystack: never the secrets, but what they are.
func (n *needles) in(hay []byte) []string {
	var found []string
	for i := 0; i+window <= len(hay); i++ {
		for _, form := range n.byWindow[[window]byte(hay[i:])] {
			if bytes.HasPrefix(hay[i:], n.forms[form]) {
				found = append(found, fmt.Sprintf("%s at byte %d", n.what[form], i))
			}
		}
	}
	return found
}

// inFolder looks into every file under a folder, and counts the bytes that it
// has read.
func (n *needles) inFolder(t *testing.T, root string) (found []string, read int64) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read += int64(len(content))
		for _, hit := range n.in(content) {
			found = append(found, path+": "+hit)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return found, read
}

// The search finds each form wherever it stands: a search that finds nothing
// says something only if it would have.
func TestNeedlesAreFound(t *testing.T) {
	const id = "Ève.tremblay@poste.example" // not an identifier of norm/1: the search takes any bytes
	sum := sha256.Sum256([]byte(id))
	for name, form := range map[string][]byte{
		"as it is":        []byte(id),
		"upper case":      []byte(strings.ToUpper(id)),
		"UTF-16LE":        wide(id, binary.LittleEndian),
		"UTF-16BE":        wide(id, binary.BigEndian),
		"hexadecimal":     []byte(hex.EncodeToString([]byte(id))),
		"HEXADECIMAL":     []byte(strings.ToUpper(hex.EncodeToString([]byte(id)))),
		"query":           []byte(url.QueryEscape(id)),
		"hash":            sum[:],
		"hash in hex":     []byte(hex.EncodeToString(sum[:])),
		"hash in base64":  []byte(base64.StdEncoding.EncodeToString(sum[:])),
		"in base64, by 0": []byte(base64.StdEncoding.EncodeToString([]byte(id))),
		"in base64, by 1": []byte(base64.StdEncoding.EncodeToString([]byte("x" + id + "yz"))),
		"in base64, by 2": []byte(base64.URLEncoding.EncodeToString([]byte("xx" + id + "z"))),
		"in base64, by 3": []byte(base64.RawURLEncoding.EncodeToString([]byte("xxx" + id))),
	} {
		n := newNeedles()
		n.identifier("somebody.else@poste.example")
		n.identifier(id)
		for _, before := range []int{0, 1, 4095, 70_000} {
			hay := append(bytes.Repeat([]byte{'~'}, before), form...)
			hay = append(hay, '~')
			if len(n.in(hay)) == 0 {
				t.Errorf("%s after %d bytes was not found", name, before)
			}
		}
	}
}
