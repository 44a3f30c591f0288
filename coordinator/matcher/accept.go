package matcher

import (
	"context"
	"fmt"
	"io"

	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/match"
)

// Announcement is what the log says of an upload: a participant of the round has
// signed that its source will send the bytes with this digest.
type Announcement struct {
	Round    protocol.RoundID
	Manifest protocol.Hash // of the signed manifest
	Source   protocol.SourceName
	Digest   protocol.Hash
	// MaxRecords is the most that this source may send; [match.MaxRecords] if it is 0.
	MaxRecords uint32
}

func (a Announcement) check() error {
	// The names become paths.
	if err := a.Round.Check(); err != nil {
		return err
	}
	return a.Source.Check()
}

// Sender gives the bytes of an upload from a place on, once the matcher has said
// which. They end in [io.EOF] only where the sender said that the upload ends;
// any other error leaves the upload open, to go on from where it broke.
type Sender func(from int64) (io.Reader, error)

// Accept takes in one source's upload. It returns nil once the upload is checked
// and on disk. If the announced one is there already, it says so without asking
// the sender for any. The first upload opens the round.
//
// After an error of the reader, or of the caller's context, calling Accept again
// goes on from the last byte that was read. Two senders of one source are one
// that has connected again: the later one goes on, the other has [ErrReplaced].
//
// Only the caller's transport can end a read that waits for a silent sender: give
// it a deadline.
func (m *Matcher) Accept(ctx context.Context, a Announcement, send Sender) (already bool, err error) {
	rd, in, err := m.intake(ctx, a)
	if err != nil || in == nil {
		return err == nil, wrapAccept(err)
	}
	turn, from := in.connect()
	r, err := send(from)
	if err == nil {
		err = in.copy(turn, rd.guard(ctx, r))
	}
	in.disconnect(turn, err)
	if m.memory.line.Load() > 0 {
		in.giveUp()
	}
	if closed := context.Cause(rd.ctx); closed != nil {
		err = closed // whatever it looked like from inside
	}
	return false, wrapAccept(err)
}

func wrapAccept(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("accept an upload: %w", err)
}

// intake returns the intake of an announced upload, begun now if need be; nil if
// the upload was accepted before.
func (m *Matcher) intake(ctx context.Context, a Announcement) (*round, *intake, error) {
	if err := a.check(); err != nil {
		return nil, nil, err
	}
	if rd, in, found, err := m.underWay(a); found || err != nil {
		return rd, in, err
	}
	if err := m.memory.admit(ctx, receivingMemory); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rd, s, err := m.spool(a)
	if err != nil {
		m.memory.release(receivingMemory)
		return nil, nil, err
	}
	if s.accepted || s.intake != nil { // another was quicker
		m.memory.release(receivingMemory)
		return rd, s.intake, nil
	}
	s.intake = m.begin(rd, a)
	return rd, s.intake, nil
}

// underWay finds what is there of an upload.
func (m *Matcher) underWay(a Announcement) (rd *round, in *intake, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rd, s, err := m.spool(a)
	if err != nil {
		return nil, nil, false, err
	}
	return rd, s.intake, s.accepted || s.intake != nil, nil
}

// spool finds an announcement's place. The caller holds mu.
func (m *Matcher) spool(a Announcement) (*round, *spool, error) {
	rd, err := m.open(a)
	if err != nil {
		return nil, nil, err
	}
	s := rd.spools[a.Source]
	if s == nil {
		s = &spool{}
		rd.spools[a.Source] = s
	}
	if (s.accepted || s.intake != nil) && s.digest != a.Digest {
		return nil, nil, ErrConflict
	}
	s.digest = a.Digest
	return rd, s, nil
}

// settle records how an intake went.
func (m *Matcher) settle(rd *round, a Announcement, size int64, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if closed := context.Cause(rd.ctx); closed != nil {
		return closed // whatever it looked like from inside
	}
	s := rd.spools[a.Source]
	s.intake = nil
	if err != nil {
		rd.used -= size
		return err
	}
	s.accepted = true
	select {
	case m.arrived <- struct{}{}:
	default: // it was signalled before, and nobody has looked since
	}
	return nil
}

// receive checks an upload while writing it. It returns the bytes that it
// reserved, whether or not it fails.
func (m *Matcher) receive(rd *round, a Announcement, r io.Reader) (size int64, err error) {
	file, err := seal.Create(rd.uploadPath(a.Source), rd.identity.Recipient())
	if err != nil {
		return 0, err
	}
	defer file.Discard()
	limit := a.MaxRecords
	if limit == 0 {
		limit = match.MaxRecords
	}
	// The file is written as far as the Reader reads, which is no further than the
	// header allows and stops in the block with the first fault.
	upload, err := match.NewReader(io.TeeReader(roomy{r, m}, file), limit)
	if err != nil {
		return 0, err
	}
	h := upload.Header()
	if h.Round != a.Round || h.Manifest != a.Manifest || h.Source != a.Source {
		return 0, ErrNotAnnounced
	}
	if size, err = m.reserve(rd, h); err != nil {
		return 0, err
	}
	if err := upload.Drain(); err != nil {
		return size, err
	}
	if upload.Digest() != a.Digest {
		return size, ErrNotAnnounced
	}
	return size, file.Commit()
}

// reserve counts an upload, and the labels that it may get, against the quota.
func (m *Matcher) reserve(rd *round, h match.Header) (int64, error) {
	size := sealedSize(h.UploadSize()) + sealedSize(h.LabelsSize())
	m.mu.Lock()
	defer m.mu.Unlock()
	if size > m.quota-rd.used {
		return 0, ErrQuota
	}
	if !m.room(size) {
		return 0, ErrNoRoom
	}
	rd.used += size
	return size, nil
}

// sealedSize bounds the size of a sealed file: a header of some 2 kB, and 16 bytes
// for every 64 KiB.
func sealedSize(plain int64) int64 { return plain + plain/4096 + 4096 }

// room reports whether so many bytes more would leave enough.
func (m *Matcher) room(size int64) bool {
	free, known := m.free()
	return !known || free >= spare+uint64(size)
}

// roomy is read as long as the disk has room: others write to it too.
type roomy struct {
	io.Reader
	matcher *Matcher
}

func (r roomy) Read(p []byte) (int, error) {
	if !r.matcher.room(int64(len(p))) {
		return 0, ErrNoRoom
	}
	return r.Reader.Read(p)
}

// guard lets a reader be read as long as the caller wants it and the round is open.
func (rd *round) guard(ctx context.Context, r io.Reader) io.Reader {
	return guarded{r, ctx, rd.ctx}
}

type guarded struct {
	io.Reader
	caller, round context.Context
}

func (g guarded) Read(p []byte) (int, error) {
	if err := context.Cause(g.round); err != nil {
		return 0, err
	}
	if err := context.Cause(g.caller); err != nil {
		return 0, err
	}
	return g.Reader.Read(p)
}
