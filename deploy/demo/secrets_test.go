package demo

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/deploy/demo/houses"
	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
)

// What the members know must not be in anything that the coordinator keeps, in
// anything that any process logs, or in anything that any process sends to a
// replica: no identifier, no token, no round key, in any obvious disguise. The
// whole demonstration runs through taps that read what TLS hides.
func TestNothingLeaksToTheCoordinator(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	taps := &tap{t: t, root: dir}
	keys := &roundKeys{found: map[string]bool{}}
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	_, err := Run(ctx, Options{Lang: "fr", Dir: dir, Keep: true, Program: program(t), Out: t.Output(), Between: func(step string, f *Federation) error {
		switch step {
		case "found/replicas":
			return taps.insert(f)
		case "pool/run":
			keys.watch(ctx, f)
		case stepEnd:
			cancel() // leaves the folder
		}
		return nil
	}})
	taps.close()
	if err != nil {
		t.Fatal(err)
	}
	secret := secretsOf(t, dir, keys)
	for _, place := range []string{dirCoordinator, dirLogs} {
		found, read := secret.inFolder(t, filepath.Join(dir, place))
		t.Logf("%s: searched %d bytes for %d forms of secrets", place, read, len(secret.forms))
		if len(found) > 0 {
			t.Errorf("%s holds %d secrets, the first in %s", place, len(found), found[0])
		}
	}
	taps.search(t, secret)
	seesWhatIsPublic(t, dir, taps)
	seesWhatIsPlanted(t, dir, secret)
}

// secretsOf collects everything that must stay with the members.
func secretsOf(t *testing.T, dir string, keys *roundKeys) *needles {
	t.Helper()
	n := newNeedles()
	people := identifiersOf(t)
	for id := range people {
		n.identifier(id)
	}
	made := 0
	for _, house := range houses.All() {
		made += n.tokens(t, filepath.Join(dir, string(house.ID)))
	}
	for key := range keys.found {
		n.secret("round key", []byte(key))
	}
	if len(people) < 20_000 || made < 30_000 || len(keys.found) == 0 {
		t.Fatalf("collected %d identifiers, %d tokens and %d round keys: too few", len(people), made, len(keys.found))
	}
	return n
}

// tokens reads a member's cache of tokens.
func (n *needles) tokens(t *testing.T, dir string) (count int) {
	t.Helper()
	self, err := seal.LoadIdentity(filepath.Join(dir, "identity.agekey"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := tokens.OpenCache(filepath.Join(dir, "tokens"), self, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	everybody := func(yield func(warehouse.PersonID, error) bool) {
		for id := range warehouse.PersonID(1 << 20) { // numbers are given from 1 on
			if !yield(id, nil) {
				return
			}
		}
	}
	err = cache.Select(t.Context(), everybody, func(_ warehouse.PersonID, token *oprf.Token) error {
		n.secret("token", slices.Clone(token[:]))
		count++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// roundKeys are the keys of rounds, which members delete when a round ends.
type roundKeys struct {
	mu    sync.Mutex
	found map[string]bool
}

// watch looks for round keys in the nodes' folders until ctx ends.
func (k *roundKeys) watch(ctx context.Context, f *Federation) {
	go func() {
		often := time.NewTicker(5 * time.Millisecond) // a round takes less than a second
		defer often.Stop()
		for ctx.Err() == nil {
			files, _ := filepath.Glob(filepath.Join(f.Dir, "*", "rounds", "*", "key.age")) // the pattern is well formed
			for _, file := range files {
				k.take(file)
			}
			select {
			case <-often.C:
			case <-ctx.Done():
			}
		}
	}()
}

func (k *roundKeys) take(file string) {
	identity, err := seal.LoadIdentity(filepath.Join(filepath.Dir(file), "..", "..", "identity.agekey"))
	if err != nil {
		return
	}
	key, err := seal.ReadFile(file, identity, 1024)
	if err != nil {
		return // gone meanwhile
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found[string(key)] = true
}

// identifiersOf imports every export once more and keeps who is in it.
func identifiersOf(t *testing.T) map[string]bool {
	t.Helper()
	people := identifiers{}
	for _, house := range houses.All() {
		file, err := house.Open()
		if err != nil {
			t.Fatal(err)
		}
		options := importer.Options{Kind: importer.Kind(house.FileKind), File: house.File, SpoolDir: t.TempDir()}
		if _, err := importer.Import(t.Context(), file, options, people); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	return people
}

// identifiers is a sink that keeps nothing else.
type identifiers map[string]bool

func (i identifiers) take(ids ...*identity.Identifier) {
	for _, id := range ids {
		if id != nil {
			i[id.Reveal()] = true
		}
	}
}

func (i identifiers) Begin(context.Context, importer.Run) error     { return nil }
func (i identifiers) Commit(context.Context, importer.Report) error { return nil }
func (i identifiers) Abort(context.Context) error                   { return nil }

func (i identifiers) People(_ context.Context, rows []importer.PersonRow) error {
	for _, r := range rows {
		i.take(r.Email, r.Phone)
	}
	return nil
}

func (i identifiers) Tickets(_ context.Context, rows []importer.TicketRow) error {
	for _, r := range rows {
		i.take(r.Email, r.Phone)
	}
	return nil
}

// insert puts a tap before every replica: it takes the address that everybody
// knows, and the replica listens elsewhere.
func (p *tap) insert(f *Federation) error {
	for i, public := range f.ports {
		hidden := freeAddress(p.t)
		f.Replicas[i].args = append(f.Replicas[i].args, "--listen", hidden)
		p.serve(public, f.Replicas[i].Name, hidden)
	}
	f.ports = nil
	return nil
}

// search looks through all that was sent.
func (p *tap) search(t *testing.T, secret *needles) {
	t.Helper()
	total := 0
	for _, line := range p.lines {
		total += line.bytes.Len()
		for _, message := range line.messages() {
			if found := secret.in(message); len(found) > 0 {
				t.Errorf("%s sent %s what it must not, %d times: first %s", line.from, line.to, len(found), found[0])
			}
		}
	}
	t.Logf("%d bytes were sent over %d connections", total, len(p.lines)/2)
}

// seesWhatIsPublic looks for what must be there, in the same way: a search that
// sees nothing would find nothing either.
func seesWhatIsPublic(t *testing.T, dir string, p *tap) {
	t.Helper()
	public := newNeedles()
	public.put("a proposal's title", []byte(adoptions()[0].title.EN))
	public.put("a member", []byte("festival-brise-nuit"))
	for _, replica := range []string{"r1", "r2", "r3"} {
		log, err := os.ReadFile(filepath.Join(dir, dirCoordinator, replica, "raft", "log.db"))
		if err != nil {
			t.Fatal(err)
		}
		if len(public.in(log)) == 0 {
			t.Errorf("%s: the search does not see what is public in the replica's log", replica)
		}
	}
	seen := map[string]bool{}
	for _, line := range p.lines {
		for _, message := range line.messages() {
			if len(public.in(message)) > 0 {
				seen[line.protocol] = true
			}
		}
	}
	if !seen["h2"] || !seen["coulisse-raft/1"] {
		t.Errorf("the search sees what is public only in %v", seen)
	}
}

// seesWhatIsPlanted puts one secret of each kind where none may be.
func seesWhatIsPlanted(t *testing.T, dir string, secret *needles) {
	t.Helper()
	file := filepath.Join(dir, dirCoordinator, "r2", "raft", "planted")
	kinds := map[string][]byte{}
	for i, what := range secret.what {
		kinds[what] = secret.forms[i]
	}
	for what, form := range kinds {
		if err := os.WriteFile(file, append([]byte("some bytes before"), form...), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, _ := secret.inFolder(t, filepath.Dir(file)); len(found) == 0 {
			t.Errorf("a planted %s was not found", what)
		}
	}
	t.Logf("found a planted secret of each of %d kinds", len(kinds))
}
