package witness

import (
	"bytes"
	"strings"
	"testing"

	"coulisse/protocol/federation"
)

// Whatever decodes as a state is written as it was read, up to where it ends.
func FuzzState(f *testing.F) {
	var seed bytes.Buffer
	var memory federation.Memory
	memory.Set("at", "1")
	memory.Set("size", strings.Repeat("x", 300))
	if _, err := writeState(&seed, &memory); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.String())
	f.Add("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")
	f.Fuzz(func(t *testing.T, state string) {
		var memory federation.Memory
		last, size := "", 0
		for key, value := range pairs(state) {
			if key <= last || strings.HasPrefix(key, "log/") {
				return // Load refuses it
			}
			memory.Set(key, value)
			last, size = key, size+len(key)+len(value)
		}
		var again bytes.Buffer
		if _, err := writeState(&again, &memory); err != nil {
			t.Fatal(err)
		}
		if size > len(state) || again.Len() > len(state) {
			t.Error("more was read than there is")
		}
	})
}
