// Package tokens turns a member's people into tokens, once each, with the help
// of the key stewards (protocol.md section 3), and keeps the tokens sealed on
// the member's disk. They are pseudonymous personal data and travel nowhere.
package tokens

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"coulisse/crypto/durable"
	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// Cache is the tokens of one key epoch: a folder of runs, and the list of them.
// Nothing is in memory that grows with the people but the first number of every
// 8,192 of them.
//
// A run is on disk before the list names it, and the list is replaced whole. So
// a process may end at any point: what the list does not name is deleted when
// the cache is opened.
type Cache struct {
	dir      string
	identity *seal.Identity
	epoch    protocol.Epoch

	// writing is held by whoever changes what there is.
	writing sync.Mutex

	// mu guards the list, and who reads the runs in it. Whoever holds writing
	// may read the list without it.
	mu     sync.Mutex
	list   list
	runs   []*run // those of the list
	closed bool
}

// ErrDamaged: what is on disk is not what was written there, or not all of it.
// The words say what to do.
var ErrDamaged = errors.New("the tokens on this node's disk are damaged")

// OpenCache opens the tokens of a key epoch.
func OpenCache(dir string, identity *seal.Identity, epoch protocol.Epoch) (*Cache, error) {
	c := &Cache{dir: filepath.Join(dir, epochFolder(epoch)), identity: identity, epoch: epoch}
	if err := c.open(); err != nil {
		c.Close()
		return nil, c.explain(fmt.Errorf("open the tokens: %w", err))
	}
	return c, nil
}

func (c *Cache) open() error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	stray, err := c.stray()
	if err != nil {
		return err
	}
	if c.list, err = readList(c.listPath(), c.identity, c.epoch); errors.Is(err, fs.ErrNotExist) {
		// A list is made before the first run: without one, there must be none.
		if len(stray) > 0 {
			return errList
		}
		err = c.list.write(c.listPath(), c.identity, c.epoch)
	}
	if err != nil {
		return err
	}
	for _, info := range c.list.runs {
		delete(stray, info.name.file())
		r, err := openRun(c.dir, c.identity, c.epoch, info)
		if err != nil {
			return err
		}
		c.runs = append(c.runs, r)
	}
	for name := range stray {
		if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// stray deletes what a process that ended was writing, and returns the names of
// the runs.
func (c *Cache) stray() (map[string]bool, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case durable.IsTemporary(name):
			if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
				return nil, err
			}
		case strings.HasPrefix(name, runPrefix):
			names[name] = true
		}
	}
	return names, nil
}

// explain words what is wrong with the content of the folder. Other errors are
// the disk's, and say so.
func (c *Cache) explain(err error) error {
	if v := (visited{}); errors.As(err, &v) {
		return v.error
	}
	for _, damage := range []error{seal.ErrDamaged, seal.ErrWrongIdentity, seal.ErrTooLarge, fs.ErrNotExist, errRun, errList, errTwice} {
		if errors.Is(err, damage) {
			return protocol.Refuse(ErrDamaged,
				"le dossier %s n'est pas tel que le nœud l'a écrit\u00a0; remettez celui de votre dernière sauvegarde, ou déplacez-le ailleurs\u00a0; redémarrez ensuite le nœud\u00a0: il refait les jetons qui manquent, et ils comptent de nouveau dans l'allocation de votre organisation",
				"the folder %s is not as the node wrote it; put back that of your last backup, or move it elsewhere; then start the node again: it makes the missing tokens anew, and they count again towards your organisation's allowance", c.dir)
		}
	}
	return err
}

// errClosed: somebody goes on with a cache whose epoch was retired.
var errClosed = errors.New("these tokens were closed: their key was retired, or the node stops")

// Close frees the files, once nobody reads them any more.
func (c *Cache) Close() {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	runs := c.runs
	c.runs, c.closed = nil, true
	for _, r := range runs {
		c.end(r, false)
	}
	c.mu.Unlock()
	for _, r := range runs {
		<-r.gone
	}
}

// Len is how many people have tokens.
func (c *Cache) Len() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list.count()
}

// Sequence is the last ticket whose tokens were kept.
func (c *Cache) Sequence() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list.sequence
}

// hold keeps the present runs on disk until release.
func (c *Cache) hold() ([]*run, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	for _, r := range c.runs {
		r.readers++
	}
	return slices.Clone(c.runs), nil
}

func (c *Cache) release(runs []*run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range runs {
		r.readers--
		c.bury(r)
	}
}

// end has a run closed, and perhaps its file deleted, as soon as nobody reads
// it. mu is held.
func (c *Cache) end(r *run, remove bool) {
	r.ended, r.remove = true, remove
	c.bury(r)
}

// bury does what end has put off. A file that stays, because the disk fails,
// goes when the cache is opened again. mu is held.
func (c *Cache) bury(r *run) {
	if !r.ended || r.readers > 0 {
		return
	}
	_ = r.file.Close() // only read
	if r.remove {
		_ = os.Remove(filepath.Join(c.dir, r.name.file()))
	}
	close(r.gone)
}

// Has reports whether a person has a token.
func (c *Cache) Has(id warehouse.PersonID) (found bool, err error) {
	err = c.walk(id, func(m *merged) error { found = m.has(id); return nil })
	return found, err
}

// walk shows fn the tokens from a number on.
func (c *Cache) walk(from warehouse.PersonID, fn func(*merged) error) error {
	runs, err := c.hold()
	if err != nil {
		return err
	}
	defer c.release(runs)
	m, err := mergeRuns(runs, from)
	if err == nil {
		err = fn(m)
	}
	if err != nil {
		return c.explain(err)
	}
	return nil
}

// every is how many people pass between two looks at whether to go on.
const every = 1 << 12

// Select visits the tokens of the given people, who come in order of their
// numbers; those without one are passed over. What lies between is not read.
func (c *Cache) Select(ctx context.Context, people iter.Seq2[warehouse.PersonID, error], visit func(warehouse.PersonID, *oprf.Token) error) error {
	return c.walk(0, func(m *merged) error {
		n := 0
		for id, err := range people {
			if err != nil {
				return visited{err}
			}
			if n++; n%every == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if err := m.seek(id); err != nil {
				return err
			}
			if !m.has(id) {
				continue
			}
			token, err := m.first.token()
			if err != nil {
				return err
			}
			if err := visit(id, token); err != nil {
				return visited{err}
			}
		}
		return nil
	})
}

// Missing lists those of the given people, who come in order of their numbers,
// that have no token. Tokens themselves are not read.
func (c *Cache) Missing(people iter.Seq2[warehouse.Person, error]) iter.Seq2[warehouse.Person, error] {
	return func(yield func(warehouse.Person, error) bool) {
		err := c.walk(0, func(m *merged) error {
			for person, err := range people {
				if err != nil {
					return visited{err}
				}
				if err := m.seek(person.ID); err != nil {
					return err
				}
				if !m.has(person.ID) && !yield(person, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(warehouse.Person{}, err)
		}
	}
}

// visited is the error of whoever walks, which says nothing about this folder.
type visited struct{ error }

// newName draws the name of a run.
func newName() (name runName) {
	_, _ = rand.Read(name[:]) // never fails
	return name
}
