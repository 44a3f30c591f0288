package tokens

import (
	"bytes"
	"testing"
)

// A list has one encoding.
func FuzzParseList(f *testing.F) {
	f.Add(list{}.encode(1))
	f.Add(list{sequence: 9, runs: []runInfo{{name: newName(), level: 3, count: 1 << 40}, {name: newName(), count: 1}}}.encode(1))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := parseList(b, 1); err == nil && !bytes.Equal(l.encode(1), b) {
			t.Error("it has another encoding")
		}
	})
}
