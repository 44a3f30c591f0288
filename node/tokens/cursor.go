package tokens

import (
	"encoding/binary"
	"errors"
	"sort"

	"coulisse/crypto/oprf"
	"coulisse/node/warehouse"
)

// cursor walks through a run. It holds one group's numbers and, once asked for
// a token, one page of those.
type cursor struct {
	run  *run
	id   warehouse.PersonID // where it stands
	done bool

	group   int // whose numbers are loaded; -1 while it stands at the run's first
	at      int // within the group
	numbers []byte

	// tokens are those of the group at from and up to to.
	tokens   []byte
	from, to int
}

// ahead is how many pages are read together where one follows the other: each
// reading costs a buffer.
const ahead = 4

// newCursor stands at the first number that is at least from. It reads nothing
// that the run's end does not tell.
func newCursor(r *run, from warehouse.PersonID) (*cursor, error) {
	c := &cursor{run: r, id: r.firsts[0], group: -1}
	return c, c.seek(from)
}

// load reads a group's numbers, which must be in order.
func (c *cursor) load(group int) error {
	n := c.run.lenOf(group)
	if c.numbers == nil {
		c.numbers = make([]byte, min(c.run.count, groupLen)*numberSize)
	}
	c.numbers = c.numbers[:n*numberSize]
	if err := c.run.readAt(c.numbers, int64(group)*groupSize); err != nil {
		return err
	}
	c.group, c.at, c.from, c.to = group, 0, 0, 0
	last := warehouse.PersonID(-1)
	for i := range n {
		id := c.number(i)
		if id <= last {
			return errRun
		}
		last = id
	}
	if c.number(0) != c.run.firsts[group] || last > c.run.lastOf(group) {
		return errRun
	}
	c.id = c.number(0)
	return nil
}

func (c *cursor) number(i int) warehouse.PersonID {
	return warehouse.PersonID(binary.BigEndian.Uint64(c.numbers[i*numberSize:]))
}

// len is how many numbers are loaded.
func (c *cursor) len() int { return len(c.numbers) / numberSize }

// advance goes to the next number.
func (c *cursor) advance() error {
	if c.group < 0 {
		if err := c.load(0); err != nil {
			return err
		}
	}
	switch {
	case c.at+1 < c.len():
		c.at++
		c.id = c.number(c.at)
		return nil
	case c.group+1 < len(c.run.firsts):
		return c.load(c.group + 1)
	}
	c.done = true
	return nil
}

// seek goes on to the first number that is at least id.
func (c *cursor) seek(id warehouse.PersonID) error {
	switch {
	case c.id >= id:
		return nil
	case id > c.run.last:
		c.done = true
		return nil
	case c.group < 0 || c.number(c.len()-1) < id:
		if group := c.run.groupOf(id); group != c.group {
			if err := c.load(group); err != nil {
				return err
			}
		}
	}
	// Near, as a rule: double the step, then search within it.
	step := 1
	for c.at+step < c.len() && c.number(c.at+step) < id {
		step *= 2
	}
	low, high := c.at+step/2, min(c.at+step, c.len())
	c.at = low + sort.Search(high-low, func(i int) bool { return c.number(low+i) >= id })
	if c.at < c.len() {
		c.id = c.number(c.at)
		return nil
	}
	c.at = c.len() - 1 // in the gap before the next group
	return c.advance()
}

// token is the present one, until the cursor moves.
func (c *cursor) token() (*oprf.Token, error) {
	if c.group < 0 {
		if err := c.load(0); err != nil {
			return nil, err
		}
	}
	if c.at < c.from || c.at >= c.to {
		if err := c.loadTokens(); err != nil {
			return nil, err
		}
	}
	return (*oprf.Token)(c.tokens[(c.at-c.from)*oprf.TokenSize:]), nil
}

// loadTokens reads the present token's page, and some more if it follows the
// last one that was read.
func (c *cursor) loadTokens() error {
	n, first, most := c.len(), c.at/pageLen*pageLen, pageLen
	if first == c.to {
		most *= ahead
	}
	most = min(most, n-first)
	if cap(c.tokens) < most*oprf.TokenSize {
		c.tokens = make([]byte, most*oprf.TokenSize)
	}
	c.tokens = c.tokens[:most*oprf.TokenSize]
	c.from, c.to = 0, 0 // until they are read
	off := int64(c.group)*groupSize + int64(n*numberSize) + int64(first)*oprf.TokenSize
	if err := c.run.readAt(c.tokens, off); err != nil {
		return err
	}
	c.from, c.to = first, first+most
	return nil
}

// merged walks through several runs as if they were one. They have nobody in
// common.
type merged struct {
	live  []*cursor
	first *cursor            // has the smallest number; nil at the end
	limit warehouse.PersonID // the smallest number of all others
}

// mergeRuns stands at the first number that is at least from.
func mergeRuns(runs []*run, from warehouse.PersonID) (*merged, error) {
	m := &merged{}
	for _, r := range runs {
		c, err := newCursor(r, from)
		if err != nil {
			return nil, err
		}
		m.live = append(m.live, c)
	}
	return m, m.choose()
}

var errTwice = errors.New("two files of tokens have the same person")

const noLimit = warehouse.PersonID(1<<63 - 1)

// choose finds the cursor that is first.
func (m *merged) choose() error {
	kept := m.live[:0]
	m.first, m.limit = nil, noLimit
	for _, c := range m.live {
		switch {
		case c.done:
			continue
		case m.first == nil:
			m.first = c
		case c.id == m.first.id:
			return errTwice
		case c.id < m.first.id:
			m.first, m.limit = c, m.first.id
		default:
			m.limit = min(m.limit, c.id)
		}
		kept = append(kept, c)
	}
	m.live = kept
	return nil
}

// settle goes on with the same cursor, as a rule: runs follow each other more
// than they interleave.
func (m *merged) settle() error {
	if !m.first.done && m.first.id < m.limit {
		return nil
	}
	return m.choose()
}

// advance goes to the next number.
func (m *merged) advance() error {
	if err := m.first.advance(); err != nil {
		return err
	}
	return m.settle()
}

// seek goes on to the first number that is at least id.
func (m *merged) seek(id warehouse.PersonID) error {
	switch {
	case m.first == nil || m.first.id >= id:
		return nil
	case id <= m.limit:
		if err := m.first.seek(id); err != nil {
			return err
		}
		return m.settle()
	}
	for _, c := range m.live {
		if c.id < id {
			if err := c.seek(id); err != nil {
				return err
			}
		}
	}
	return m.choose()
}

// has reports whether the present number is id.
func (m *merged) has(id warehouse.PersonID) bool { return m.first != nil && m.first.id == id }
