package collect

import (
	"coulisse/crypto/recent"
	"coulisse/node/warehouse"
)

// said remembers which answers are kept already: the tag sends them with every
// request, and one row a purpose is enough. What is forgotten is kept again,
// which says nothing else.
type said struct{ known *recent.Map[saying, struct{}] }

// saying is what a visitor's browser said at once. Its instant is by the
// browser's clock: by the server's it differs a little each time it is sent.
type saying struct {
	visitor warehouse.VisitorID
	at      int64
	given   [len(purposes)]answer
}

func newSaid() said { return said{recent.NewMap[saying, struct{}](1 << 14)} }

func (s said) has(one saying) bool {
	_, ok := s.known.Get(one)
	return ok
}

func (s said) put(one saying) { s.known.Put(one, struct{}{}) }
