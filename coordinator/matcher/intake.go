package matcher

import (
	"context"
	"errors"
	"io"
	"sync"
)

// intake is an upload under way, over one connection after another. What was
// read of it stays checked, hashed and sealed between two of them: only the
// bytes that were on the line are sent again.
type intake struct {
	pipe *io.PipeWriter
	// ended is closed once the upload is accepted, or ended for err.
	ended chan struct{}
	err   error

	// mu is held while bytes are handed on, so that a connection that was
	// replaced cannot mix its own into them. It guards what follows.
	mu        sync.Mutex
	received  int64
	turn      int  // of the newest connection
	connected bool // which is there still
}

// begin starts the intake of an upload, which ends with the round. The caller
// holds mu and the memory for it.
func (m *Matcher) begin(rd *round, a Announcement) *intake {
	reading, writing := io.Pipe()
	in := &intake{pipe: writing, ended: make(chan struct{})}
	rd.intakes.Go(func() {
		defer context.AfterFunc(rd.ctx, func() { _ = writing.CloseWithError(ErrClosed) })() // never fails
		size, err := m.receive(rd, a, reading)
		m.memory.release(receivingMemory)
		in.err = m.settle(rd, a, size, err)
		close(in.ended)
		_ = reading.CloseWithError(errSettled) // never fails
	})
	return in
}

// errSettled tells a connection that no more bytes are taken; why is in err.
var errSettled = errors.New("the upload is settled")

// connect begins a connection. Those before have no say any more.
func (in *intake) connect() (turn int, from int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.turn++
	in.connected = true
	return in.turn, in.received
}

// copyBlock is how much is handed on at once.
const copyBlock = 64 << 10

// copy hands on what a connection brings, and returns how the upload ended, or
// why the connection did.
func (in *intake) copy(turn int, r io.Reader) error {
	block := make([]byte, copyBlock)
	for {
		n, err := r.Read(block)
		if settled, err := in.hand(turn, block[:n], err == io.EOF); settled || err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
}

// hand hands bytes on, if it is this connection's turn. After the last of them,
// or if they were not taken, it waits until the upload is settled, which takes no
// connection.
func (in *intake) hand(turn int, p []byte, last bool) (settled bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if turn != in.turn {
		return false, ErrReplaced
	}
	n := 0
	if len(p) > 0 {
		n, err = in.pipe.Write(p)
	}
	in.received += int64(n)
	if err == nil && !last {
		return false, nil
	}
	_ = in.pipe.Close() // never fails
	<-in.ended
	return true, in.err
}

// disconnect ends a connection. An upload of which nothing has come is not worth
// its place.
func (in *intake) disconnect(turn int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if turn != in.turn {
		return
	}
	in.connected = false
	if err != nil && in.received == 0 {
		in.end(err)
	}
}

// giveUp ends an upload that nobody is sending, if it has not ended.
func (in *intake) giveUp() {
	if !in.mu.TryLock() {
		return // somebody is
	}
	defer in.mu.Unlock()
	if !in.connected {
		in.end(errGivenUp)
	}
}

var errGivenUp = errors.New("the upload was broken off, and others needed its memory")

// end ends an upload for a reason, unless it has ended. The caller holds mu.
func (in *intake) end(err error) {
	_ = in.pipe.CloseWithError(err) // never fails
	<-in.ended
}
