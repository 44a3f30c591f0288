package federation

import (
	"strconv"

	"coulisse/crypto/key"
	"coulisse/crypto/recent"
	"coulisse/protocol"

	"github.com/go-json-experiment/json"
)

// save stores a value as JSON. Everything stored here was decoded from a
// checked document or counted, so it always encodes.
func save(tx Tx, key string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("federation: " + key + " does not encode: " + err.Error())
	}
	tx.Set(key, string(raw))
}

// load reads back what save wrote. Anything else in the store means that it is
// damaged, and a damaged state must not go on.
func load[T any](tx Tx, key string) (T, bool) {
	var v T
	raw, ok := tx.Get(key)
	if !ok {
		return v, false
	}
	decode(key, raw, &v)
	return v, true
}

// saveInt stores an integer as save does, and loadInt reads it, or 0: the few
// that every entry changes.
func saveInt(tx Tx, key string, n int64) { tx.Set(key, strconv.FormatInt(n, 10)) }

func loadInt(tx Tx, key string) (int64, bool) {
	raw, ok := tx.Get(key)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		panic("federation: the state is damaged at " + key)
	}
	return n, true
}

func loadOr[T any](tx Tx, key string, missing T) T {
	if v, ok := load[T](tx, key); ok {
		return v
	}
	return missing
}

func decode(key, raw string, v any) {
	if err := json.Unmarshal([]byte(raw), v); err != nil {
		panic("federation: the state is damaged at " + key + ": " + err.Error())
	}
}

// memo remembers the values that were decoded last, by their stored text. What a
// text decodes to is a function of the text alone, so it cannot part two
// replicas. The values are shared: their slices are never written to.
type memo[T any] struct {
	finish func(*T) // after decoding
	values *recent.Map[string, T]
}

// maxMemo bounds what a memo holds: twice so many.
const maxMemo = 200

func newMemo[T any](finish func(*T)) memo[T] {
	return memo[T]{finish, recent.NewMap[string, T](maxMemo)}
}

func (m memo[T]) decode(key, raw string) T {
	return m.values.Find(raw, func() (v T) {
		decode(key, raw, &v)
		m.finish(&v)
		return v
	})
}

// collect loads every value under a prefix, in key order.
func collect[T any](tx Tx, prefix string) []T {
	values := []T{}
	tx.Ascend(prefix, func(key, raw string) bool {
		var v T
		decode(key, raw, &v)
		values = append(values, v)
		return true
	})
	return values
}

// checkHead refuses a document signed under a head that this log never had.
func checkHead(tx Tx, h protocol.Head) error {
	size := Size(tx)
	if h.Size < 1 || h.Size > size {
		return ErrFork
	}
	own, err := headAt(tx, h.Size)
	if err != nil {
		return err
	}
	if own.Root != h.Root {
		return ErrFork
	}
	return nil
}

// signed decodes an entry's document, still unverified, and checks its head.
func signed[T any](tx Tx, e protocol.Entry) (protocol.Signed[T], error) {
	s, err := protocol.Decode[protocol.Signed[T]](e.Doc)
	if err != nil {
		return s, err
	}
	return s, checkHead(tx, s.Head)
}

// openNode verifies an entry signed by the node of a member in good standing.
func openNode[T protocol.Document[key.Node]](tx Tx, e protocol.Entry) (T, protocol.MemberID, protocol.Hash, error) {
	var zero T
	s, err := signed[T](tx, e)
	if err != nil {
		return zero, "", protocol.Hash{}, err
	}
	view, err := View(tx)
	if err != nil {
		return zero, "", protocol.Hash{}, err
	}
	author, ok := view.Active(protocol.MemberID(s.By))
	if !ok {
		return zero, "", protocol.Hash{}, notActive(s.By)
	}
	doc, err := protocol.Open(view.Federation, s, author.Card.Node)
	return doc, author.Card.ID, protocol.ID(view.Federation, s), err
}

// openReplica verifies an entry signed by a coordinator replica.
func openReplica[T protocol.Document[key.Replica]](tx Tx, e protocol.Entry) (T, error) {
	var zero T
	s, err := signed[T](tx, e)
	if err != nil {
		return zero, err
	}
	view, err := View(tx)
	if err != nil {
		return zero, err
	}
	pub, ok := view.Replica(protocol.ReplicaID(s.By))
	if !ok {
		return zero, refuse("ce document n'est pas signé par une réplique de cette fédération",
			"this document is not signed by a replica of this federation")
	}
	return protocol.Open(view.Federation, s, pub)
}
