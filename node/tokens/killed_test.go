package tokens_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"coulisse/crypto/seal"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
)

// A process is killed over and over while it keeps tokens and merges them. The
// next one has every batch that the last said it had kept, and no half of one.
func TestKilledWhileItWrites(t *testing.T) {
	if dir := os.Getenv("COULISSE_TEST_TOKENS"); dir != "" {
		keepUntilKilled(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("kills 25 processes")
	}
	t.Parallel()
	dir := t.TempDir()
	identity, err := seal.LoadOrCreateIdentity(filepath.Join(dir, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	random, said := rand.New(rand.NewPCG(3, 4)), 0
	for range 25 {
		said = runAndKill(t, dir, said+random.IntN(40))
		cache, err := tokens.OpenCache(dir, identity, 1)
		if err != nil {
			t.Fatal(err)
		}
		kept := int(cache.Len()) / killedBatch
		if kept < said || kept > said+1 {
			t.Fatalf("%d batches are kept, and it said %d", kept, said)
		}
		wantHeld(t, cache, setOf(numbers(1, kept*killedBatch)), warehouse.PersonID(kept*killedBatch))
		cache.Close()
		said = kept
		for _, name := range names(t, dir) {
			if strings.HasPrefix(name, ".") {
				t.Fatalf("%s is left", name)
			}
		}
	}
}

const killedBatch = 300

// keepUntilKilled says after each batch that it is kept.
func keepUntilKilled(t *testing.T, dir string) {
	identity, err := seal.LoadIdentity(filepath.Join(dir, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	cache := openCache(t, dir, identity)
	for batch := int(cache.Len()) / killedBatch; batch < 100_000; batch++ {
		put(t, cache, int64(batch+1), numbers(1+batch*killedBatch, killedBatch)...)
		fmt.Printf("kept %d\n", batch+1)
	}
}

// runAndKill kills the other process a moment after it has said that so many
// batches are kept, and returns how many it said were.
func runAndKill(t *testing.T, dir string, after int) (said int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileItWrites$")
	cmd.Env = append(os.Environ(), "COULISSE_TEST_TOKENS="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "kept %d", &said); err != nil {
			t.Fatalf("the other process says %q", lines.Text())
		}
		if said == after+1 {
			_ = cmd.Process.Kill() // what it said meanwhile is read on
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	return said
}
