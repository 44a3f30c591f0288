package tokens

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"coulisse/crypto/oprf"
	"coulisse/node/warehouse"
)

// fan is how many runs of one level are merged into one of the next. A token is
// written again once a level: three times by the three-millionth, in fewer than
// fan runs of each level.
const fan = 8

// Put keeps the tokens of one ticket, whole or not at all. Whoever has one
// already keeps it: under one key, a person's token is always the same.
func (c *Cache) Put(sequence int64, ids []warehouse.PersonID, tokens []oprf.Token) error {
	if len(ids) != len(tokens) {
		return errors.New("keep tokens: one token a person")
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closed {
		return errClosed
	}
	added, err := c.addRun(ids, tokens)
	if err == nil {
		err = c.replace(nil, added, max(sequence, c.list.sequence))
	}
	if err == nil {
		err = c.merge()
	}
	if err != nil {
		return c.explain(fmt.Errorf("keep tokens: %w", err))
	}
	return nil
}

// addRun writes a run of those people who have no token yet.
func (c *Cache) addRun(ids []warehouse.PersonID, tokens []oprf.Token) ([]runInfo, error) {
	order := make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(ids[a], ids[b]) })
	w, err := newRunWriter(c.dir, c.identity, c.epoch, newName(), 0)
	if err != nil {
		return nil, err
	}
	defer w.discard()
	m, err := mergeRuns(c.runs, 0)
	if err != nil {
		return nil, err
	}
	for _, i := range order {
		if err := m.seek(ids[i]); err != nil {
			return nil, err
		}
		if m.has(ids[i]) || ids[i] == w.last {
			continue
		}
		if err := w.add(ids[i], &tokens[i]); err != nil {
			return nil, err
		}
	}
	return w.finishAny()
}

// finishAny is finish, but for a run in which there would be nobody.
func (w *runWriter) finishAny() ([]runInfo, error) {
	if w.info.count == 0 {
		return nil, nil
	}
	info, err := w.finish()
	return []runInfo{info}, err
}

// replace puts new runs, which are on disk, in the place of some old ones, for
// good. writing is held.
func (c *Cache) replace(old []*run, added []runInfo, sequence int64) error {
	var opened []*run
	for _, info := range added {
		r, err := openRun(c.dir, c.identity, c.epoch, info)
		if err != nil {
			return err
		}
		opened = append(opened, r)
	}
	// The new ones have the place of the last old one: levels never rise
	// towards the end of the list.
	runs := slices.Clone(c.runs)
	at := len(runs)
	if len(old) > 0 {
		at = slices.Index(runs, old[len(old)-1])
	}
	runs = slices.Insert(runs, at, opened...)
	runs = slices.DeleteFunc(runs, func(r *run) bool { return slices.Contains(old, r) })
	next := list{sequence: sequence}
	for _, r := range runs {
		next.runs = append(next.runs, r.runInfo)
	}
	if err := next.write(c.listPath(), c.identity, c.epoch); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list, c.runs = next, runs
	for _, r := range old {
		c.end(r, true)
	}
	return nil
}

// merge keeps the runs few. writing is held.
func (c *Cache) merge() error {
	for {
		n := len(c.runs)
		if n < fan || c.runs[n-fan].level != c.runs[n-1].level {
			return nil
		}
		if err := c.rewrite(c.runs[n-fan:], c.runs[n-1].level+1, func(warehouse.PersonID) bool { return true }); err != nil {
			return err
		}
	}
}

// rewrite writes what is to stay of some runs into one, and puts that in their
// place. writing is held.
func (c *Cache) rewrite(old []*run, level uint8, stays func(warehouse.PersonID) bool) error {
	old = slices.Clone(old)
	m, err := mergeRuns(old, 0)
	if err != nil {
		return err
	}
	w, err := newRunWriter(c.dir, c.identity, c.epoch, newName(), level)
	if err != nil {
		return err
	}
	defer w.discard()
	for ; err == nil && m.first != nil; err = m.advance() {
		if !stays(m.first.id) {
			continue
		}
		token, err := m.first.token()
		if err == nil {
			err = w.add(m.first.id, token)
		}
		if err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	added, err := w.finishAny()
	if err != nil {
		return err
	}
	return c.replace(old, added, c.list.sequence)
}

// Erase removes the tokens of some people and returns when no file has them any
// more: it waits for whoever reads one. Each run that has one of them is
// written anew.
func (c *Cache) Erase(ids []warehouse.PersonID) error {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	erased, err := c.erase(ids)
	if err != nil {
		return c.explain(fmt.Errorf("erase tokens: %w", err))
	}
	for _, r := range erased {
		<-r.gone
	}
	return nil
}

func (c *Cache) erase(ids []warehouse.PersonID) (erased []*run, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closed {
		return nil, errClosed
	}
	for _, r := range slices.Clone(c.runs) {
		has, err := hasAny(r, ids)
		if err != nil {
			return nil, err
		}
		if !has {
			continue
		}
		erased = append(erased, r)
		err = c.rewrite([]*run{r}, r.level, func(id warehouse.PersonID) bool {
			_, found := slices.BinarySearch(ids, id)
			return !found
		})
		if err != nil {
			return nil, err
		}
	}
	return erased, nil
}

// hasAny reports whether a run has any of these people, in order.
func hasAny(r *run, ids []warehouse.PersonID) (bool, error) {
	m, err := mergeRuns([]*run{r}, 0)
	for _, id := range ids {
		if err == nil {
			err = m.seek(id)
		}
		if err != nil || m.has(id) {
			return err == nil, err
		}
	}
	return false, err
}

func (c *Cache) listPath() string { return filepath.Join(c.dir, fileList) }
