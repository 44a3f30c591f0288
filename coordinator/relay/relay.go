// Package relay carries sealed parcels between nodes, which only dial out: the
// leader keeps a bounded mailbox a member, in memory, and forgets it when it
// stops leading. Senders repeat what is not answered.
//
// It sees who writes to whom and how much (protocol.md section 7), and never
// what: parcels are sealed end to end by the nodes.
package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"coulisse/protocol"
)

// Parcel is one sealed payload.
type Parcel struct {
	From, To protocol.MemberID
	Sealed   []byte
}

// Bounds of the relay, in bytes. A parcel holds a batch of evaluations with
// room. One sender fills a part of a mailbox only, so that it cannot keep the
// others out, and all mailboxes together leave the machine its memory.
const (
	MaxParcel  = 1 << 20
	maxSender  = 8 << 20
	maxMailbox = 32 << 20
	maxAll     = 256 << 20
	// overhead is counted for each parcel, or empty ones would be free.
	overhead = 128
)

// Errors of Send and Receive.
var (
	// ErrTooLarge: the parcel is over MaxParcel. Final.
	ErrTooLarge = errors.New("the parcel is too large")
	// ErrFull: there is no room, because the addressee is not collecting its
	// parcels. Try again later.
	ErrFull = errors.New("the mailbox is full; its member is not collecting it")
	// ErrReplaced: the member connected again; this connection is done.
	ErrReplaced = errors.New("the member has connected again elsewhere")
)

// Hub is the mailboxes of one leader. Its methods may be called at once.
type Hub struct {
	// mu guards the mailboxes and their sum.
	mu        sync.Mutex
	mailboxes map[protocol.MemberID]*mailbox
	bytes     int
}

// mailbox queues what its member has not taken yet. It exists while it holds
// something or somebody receives.
type mailbox struct {
	parcels []Parcel
	bytes   int
	sent    map[protocol.MemberID]int // bytes in it, by sender
	filled  chan struct{}             // capacity 1; full when there is something
	// replaced is closed when another Receive takes over; nil without any.
	replaced chan struct{}
}

// New returns a hub without mailboxes.
func New() *Hub { return &Hub{mailboxes: map[protocol.MemberID]*mailbox{}} }

func (h *Hub) mailbox(id protocol.MemberID) *mailbox {
	m, ok := h.mailboxes[id]
	if !ok {
		m = &mailbox{filled: make(chan struct{}, 1), sent: map[protocol.MemberID]int{}}
		h.mailboxes[id] = m
	}
	return m
}

// Send puts a parcel in its addressee's mailbox. The caller has checked that
// both are members in good standing.
func (h *Hub) Send(p Parcel) error {
	if len(p.Sealed) > MaxParcel {
		return fmt.Errorf("%w: at most %d bytes", ErrTooLarge, MaxParcel)
	}
	size := len(p.Sealed) + overhead
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bytes+size > maxAll {
		return ErrFull
	}
	m := h.mailbox(p.To)
	if m.bytes+size > maxMailbox || m.sent[p.From]+size > maxSender {
		return ErrFull
	}
	m.parcels = append(m.parcels, p)
	h.count(m, p, size)
	m.signal()
	return nil
}

// Held is how many bytes wait in all mailboxes.
func (h *Hub) Held() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(h.bytes)
}

func (h *Hub) count(m *mailbox, p Parcel, size int) {
	h.bytes += size
	m.bytes += size
	if m.sent[p.From] += size; m.sent[p.From] == 0 {
		delete(m.sent, p.From)
	}
}

func (m *mailbox) signal() {
	select {
	case m.filled <- struct{}{}:
	default:
	}
}

// Receive hands a member its parcels in order until ctx ends, deliver fails,
// or the member receives somewhere else. A parcel that deliver fails on is
// lost, as on any broken connection.
func (h *Hub) Receive(ctx context.Context, id protocol.MemberID, deliver func(Parcel) error) error {
	m, replaced := h.take(id)
	defer h.leave(id, m, replaced)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-replaced:
			return ErrReplaced
		case <-m.filled:
		}
		p, ok := h.next(m, replaced)
		if !ok {
			continue
		}
		if err := deliver(p); err != nil {
			return err
		}
	}
}

// take makes the caller the mailbox's only receiver.
func (h *Hub) take(id protocol.MemberID) (*mailbox, chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.mailbox(id)
	if m.replaced != nil {
		close(m.replaced)
	}
	m.replaced = make(chan struct{})
	if len(m.parcels) > 0 {
		m.signal()
	}
	return m, m.replaced
}

// next takes the first parcel out. One at a time: what a slow receiver has not
// taken stays in the mailbox and counts against its bounds.
func (h *Hub) next(m *mailbox, receiver chan struct{}) (Parcel, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(m.parcels) == 0 {
		return Parcel{}, false
	}
	m.signal() // for what follows, or for whoever replaced this receiver
	if m.replaced != receiver {
		return Parcel{}, false
	}
	p := m.parcels[0]
	m.parcels[0] = Parcel{}
	m.parcels = m.parcels[1:]
	h.count(m, p, -len(p.Sealed)-overhead)
	return p, true
}

// leave forgets an empty mailbox that nobody receives from any more.
func (h *Hub) leave(id protocol.MemberID, m *mailbox, receiver chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.replaced != receiver {
		return
	}
	m.replaced = nil
	if len(m.parcels) == 0 {
		delete(h.mailboxes, id)
	}
}

// Forget drops every parcel. Whoever receives goes on receiving.
func (h *Hub) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes = 0
	for id, m := range h.mailboxes {
		m.parcels, m.bytes, m.sent = nil, 0, map[protocol.MemberID]int{}
		if m.replaced == nil {
			delete(h.mailboxes, id)
		}
	}
}
