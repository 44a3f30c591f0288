package match

// tree is a loser tree: a tournament between the next records of several sorted
// streams, which finds the next winner with one comparison a level. An inner node
// keeps the loser of its match, so that only the winner's path is replayed.
//
// The caller reads the winner, takes the next record of its stream, and calls
// replace, or retire at the stream's end.
type tree struct {
	nodes []contender // 0 is the winner, 1… the losers of the inner nodes
}

// contender is a stream's next record.
type contender struct {
	hi, lo uint64
	stream int
}

// before orders by record, then by stream.
func (c contender) before(d contender) bool {
	if c.hi != d.hi {
		return c.hi < d.hi
	}
	if c.lo != d.lo {
		return c.lo < d.lo
	}
	return c.stream < d.stream
}

// ended is what a stream of k sends in when it has no more records. It loses
// against all records, even one of the highest value, by its number.
func ended(stream, k int) contender {
	return contender{^uint64(0), ^uint64(0), k + stream}
}

// newTree plays the first tournament between the first records, one a stream.
func newTree(first []contender) *tree {
	t := &tree{nodes: make([]contender, len(first))}
	for i := range t.nodes {
		t.nodes[i].stream = -1 // nobody came here yet
	}
	for stream, c := range first {
		t.enter(stream, c)
	}
	return t
}

// enter lets a contender climb until it meets an empty node, where it waits for
// its opponent. The last one to enter carries the winner to the top.
func (t *tree) enter(stream int, c contender) {
	for n := (stream + len(t.nodes)) / 2; n > 0; n /= 2 {
		switch other := t.nodes[n]; {
		case other.stream < 0:
			t.nodes[n] = c
			return
		case other.before(c):
			t.nodes[n], c = c, other
		}
	}
	t.nodes[0] = c
}

// winner is the lowest record, and of equal ones that of the first stream. It
// reports false when all streams have ended.
func (t *tree) winner() (contender, bool) {
	return t.nodes[0], t.nodes[0].stream < len(t.nodes)
}

// replace puts the next record of the winner's stream in its place.
func (t *tree) replace(hi, lo uint64) {
	t.replay(contender{hi, lo, t.nodes[0].stream})
}

// retire ends the winner's stream.
func (t *tree) retire() {
	t.replay(ended(t.nodes[0].stream, len(t.nodes)))
}

// replay lets c climb from the winner's leaf.
func (t *tree) replay(c contender) {
	for n := (t.nodes[0].stream + len(t.nodes)) / 2; n > 0; n /= 2 {
		if l := &t.nodes[n]; l.before(c) {
			*l, c = c, *l
		}
	}
	t.nodes[0] = c
}
