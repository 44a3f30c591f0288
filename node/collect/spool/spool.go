// Package spool keeps records on disk from when they are acknowledged until
// they are stored elsewhere: an append-only journal in segments, in which many
// writers share one fsync.
//
// What it promises: a record whose [Spool.Append] returned nil is read again
// after any crash. What it does not: that a record whose Append failed is never
// read. A crash may leave it whole on disk, so that records carry an identity
// of their own, by which the reader drops what it has seen.
//
// It does not know what the records mean, nor where they go.
package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"coulisse/crypto/durable"
)

// Errors of [Spool.Append]. Nothing was acknowledged; the writer tries again
// later.
var (
	// ErrBusy: more writers wait than the disk keeps up with.
	ErrBusy = errors.New("too many records wait for the disk")
	// ErrFull: the spool has reached its bound. It has room again when the
	// reader has released what it stored.
	ErrFull = errors.New("the spool is full")
	// ErrDisk: the record could not be made durable. There is no room, or the
	// disk failed; the next record is tried on a new segment.
	ErrDisk = errors.New("the disk did not take the record")
	// ErrTooLong: the record is over [MaxRecord].
	ErrTooLong = errors.New("the record is too long")
	// ErrClosed: the spool's Run has ended.
	ErrClosed = errors.New("the spool is closed")
)

// Position is a place in the spool: an offset in a segment.
type Position struct {
	Segment uint64
	Offset  int64
}

// Bounds that no setting changes.
const (
	// MaxRecord bounds a record.
	MaxRecord = 1 << 20
	// maxGroup bounds what one fsync makes durable.
	maxGroup = 4 << 20
	// maxWaiting and maxWaitingSize bound the records that wait for an fsync.
	maxWaiting     = 4096
	maxWaitingSize = 32 << 20
)

// File is a segment being written.
type File interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Close() error
}

// Config says where the spool is and what it may use.
type Config struct {
	// Dir is made, for this user only, if missing.
	Dir string
	// After is the last segment that the reader has seen stored: new ones are
	// numbered above it, also if the folder was lost since.
	After uint64
	// Segment is the size at which a segment ends, 16 MiB if 0, and Limit that
	// of all of them together, 1 GiB if 0.
	Segment, Limit int64
	Logger         *slog.Logger
	// Create makes a segment's file, which must not be there; the operating
	// system's if nil.
	Create func(path string) (File, error)
}

// Spool is an open spool. Append, Read, Release and Waiting may be called at
// once by any goroutine.
type Spool struct {
	cfg     Config
	pending chan waiting
	// size is that of the records whose Append has not returned.
	size atomic.Int64
	// ended is closed when Run returns: nobody answers after that.
	ended chan struct{}

	// writing is held while the active segment is written, ended or deleted.
	writing sync.Mutex
	active  File
	group   []byte

	// mu guards the rest. It is never held during input or output.
	mu sync.Mutex
	// segments are those on disk in order, with how much of each is durable.
	// If active is set, it is the last one.
	segments []segment
	next     uint64
	grown    chan struct{}
}

type segment struct {
	number uint64
	size   int64 // durable
	open   bool  // being written
}

type waiting struct {
	record []byte
	done   chan<- error
}

// Open reads what a process left, and cuts what it did not finish.
func Open(cfg Config) (*Spool, error) {
	if cfg.Segment == 0 {
		cfg.Segment = 16 << 20
	}
	if cfg.Limit == 0 {
		cfg.Limit = 1 << 30
	}
	if cfg.Create == nil {
		cfg.Create = func(path string) (File, error) {
			return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
		}
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &Spool{
		cfg: cfg, pending: make(chan waiting, maxWaiting), ended: make(chan struct{}),
		grown: make(chan struct{}), next: cfg.After + 1,
	}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	return s, nil
}

// Append returns when the record is durable. If ctx ends first, the record may
// have been kept or not.
func (s *Spool) Append(ctx context.Context, record []byte) error {
	if len(record) > MaxRecord {
		return ErrTooLong
	}
	done := make(chan error, 1)
	select {
	case <-s.ended:
		return ErrClosed
	default:
	}
	defer s.size.Add(-int64(len(record)))
	if s.size.Add(int64(len(record))) > maxWaitingSize {
		return ErrBusy
	}
	select {
	case s.pending <- waiting{record, done}:
	default:
		return ErrBusy
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		// The last group may have been answered just before.
		select {
		case err := <-done:
			return err
		default:
			return ErrClosed
		}
	}
}

// Run makes records durable until ctx ends and nothing waits any more.
func (s *Spool) Run(ctx context.Context) {
	defer close(s.ended)
	for {
		select {
		case first := <-s.pending:
			s.commit(s.gather(first))
			continue
		default:
		}
		select {
		case first := <-s.pending:
			s.commit(s.gather(first))
		case <-ctx.Done():
			s.writing.Lock()
			defer s.writing.Unlock()
			s.seal()
			return
		}
	}
}

// gather takes everybody who waits by now: they share an fsync.
func (s *Spool) gather(first waiting) []waiting {
	group, size := []waiting{first}, len(first.record)
	for size < maxGroup {
		select {
		case w := <-s.pending:
			group, size = append(group, w), size+len(w.record)
		default:
			return group
		}
	}
	return group
}

// commit writes a group, makes it durable, and only then answers it.
func (s *Spool) commit(group []waiting) {
	err := s.write(group)
	for _, w := range group {
		w.done <- err
	}
	if err == nil {
		s.mu.Lock()
		close(s.grown)
		s.grown = make(chan struct{})
		s.mu.Unlock()
	}
}

func (s *Spool) write(group []waiting) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.Waiting() >= s.cfg.Limit {
		return ErrFull
	}
	if err := s.openSegment(); err != nil {
		s.cfg.Logger.Error("the spool cannot begin a segment", "error", err)
		return ErrDisk
	}
	current := s.last()
	s.group = s.group[:0]
	for _, w := range group {
		s.group = appendRecord(s.group, current.number, w.record)
	}
	_, err := s.active.Write(s.group)
	if err == nil {
		err = s.active.Sync()
	}
	if err != nil {
		// After a failed fsync the kernel may have dropped the pages and call the
		// next one a success: nothing more is written to this segment. What of the
		// group is on disk was not acknowledged.
		s.cfg.Logger.Error("the spool's disk refuses a write", "error", err)
		_ = s.active.Truncate(current.size) // the reader stops there all the same
		s.seal()
		return ErrDisk
	}
	s.mu.Lock()
	last := &s.segments[len(s.segments)-1]
	last.size += int64(len(s.group))
	full := last.size >= s.cfg.Segment
	s.mu.Unlock()
	if full {
		s.seal()
	}
	return nil
}

// openSegment begins one if none is active. Its name is durable before any
// record in it is acknowledged.
func (s *Spool) openSegment() error {
	if s.active != nil {
		return nil
	}
	s.mu.Lock()
	number := s.next
	s.next++ // also if this fails: the name may be there
	s.mu.Unlock()
	path := s.path(number)
	file, err := s.cfg.Create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(header(number))
	if err == nil {
		err = durable.SyncFolder(s.cfg.Dir)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(path))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = file
	s.segments = append(s.segments, segment{number: number, size: headerSize, open: true})
	return nil
}

// seal ends the active segment. Whoever calls it holds writing.
func (s *Spool) seal() {
	if s.active == nil {
		return
	}
	_ = s.active.Close() // what was acknowledged is durable
	s.active = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments[len(s.segments)-1].open = false
}

func (s *Spool) last() segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segments[len(s.segments)-1]
}

// Waiting is how many bytes are on disk.
func (s *Spool) Waiting() (total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		total += seg.size
	}
	return total
}

// Grown is closed when there is more to read than when it was called.
func (s *Spool) Grown() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown
}

func (s *Spool) path(number uint64) string {
	return filepath.Join(s.cfg.Dir, fmt.Sprintf("%020d.spool", number))
}
