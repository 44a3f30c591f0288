package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
)

// A snapshot on disk and between replicas, numbers big-endian:
//
//	0   "coulsnap"
//	8   version, 2
//	12  index of the last command in it
//	20  raft's index and term of the snapshot
//	36  length of the state
//	44  lineage of the replicas that it is of
//	76  SHA-256 of the above, of raft's configuration in it, and of the state
//	108 state
//
// raft keeps index, term and configuration in a file beside the state that has
// no checksum, hence their copy here: a replica that believed a wrong index
// would skip commands.
const (
	snapshotMagic   = "coulsnap"
	snapshotVersion = 2
	snapshotSummed  = 44 + len(Lineage{})
	snapshotHeader  = snapshotSummed + sha256.Size
	maxSnapshot     = 4 << 30

	retainedSnapshots = 2
)

// snapshots is a raft.SnapshotStore that lets only whole snapshots in and out.
type snapshots struct {
	dir   string
	files *raft.FileSnapshotStore
	// settle fits the log to a snapshot that has just become the newest.
	settle func(index, term uint64) error
	// kin are those whose snapshots are taken in.
	kin kin
}

func (s *snapshots) List() ([]*raft.SnapshotMeta, error) { return s.files.List() }

// Open returns a snapshot from memory, verified to its last byte.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, file, err := s.files.Open(id)
	if err != nil {
		return nil, nil, fmt.Errorf("snapshot %s (%v): %w", id, err, ErrCorrupt)
	}
	defer file.Close()
	check := newSnapshotCheck(meta)
	var raw bytes.Buffer
	if _, err := io.Copy(io.MultiWriter(&raw, check), io.LimitReader(file, maxSnapshot)); err != nil {
		return nil, nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	if err := check.whole(); err != nil {
		return nil, nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return meta, io.NopCloser(&raw), nil
}

// newest verifies the newest snapshot; nil if there is none.
func (s *snapshots) newest() (*raft.SnapshotMeta, error) {
	all, err := s.List()
	if err == nil {
		err = s.readable(all)
	}
	if err != nil || len(all) == 0 {
		return nil, err
	}
	_, content, err := s.Open(all[0].ID)
	if err != nil {
		return nil, err
	}
	head := make([]byte, snapshotHeader)
	if _, err := io.ReadFull(content, head); err != nil {
		return nil, err
	}
	h, err := parseSnapshotHeader(head)
	s.kin.join(h.lineage)
	return all[0], err
}

// readable finds a snapshot that raft passes over, or takes for an older one,
// because its metadata are damaged: the replica would go on with an older one, and without what it had
// acknowledged since if the log begins after both. What an interrupted deletion
// leaves is older than all that are listed.
func (s *snapshots) readable(listed []*raft.SnapshotMeta) error {
	folders, err := os.ReadDir(filepath.Join(s.dir, "snapshots"))
	if err != nil {
		return fmt.Errorf("look for snapshots: %w", err)
	}
	for _, f := range folders {
		var term, index, at uint64
		if _, err := fmt.Sscanf(f.Name(), "%d-%d-%d", &term, &index, &at); err != nil || filepath.Ext(f.Name()) != "" {
			continue // not finished
		}
		known := slices.ContainsFunc(listed, func(m *raft.SnapshotMeta) bool {
			return m.ID == f.Name() && m.Term == term && m.Index == index
		})
		if !known && (len(listed) == 0 || index >= listed[0].Index) {
			return fmt.Errorf("the description of snapshot %s cannot be read: %w", f.Name(), ErrCorrupt)
		}
	}
	return nil
}

// Create begins a snapshot, the replica's own or one that the leader sends.
func (s *snapshots) Create(version raft.SnapshotVersion, index, term uint64, conf raft.Configuration,
	confIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	file, err := s.files.Create(version, index, term, conf, confIndex, trans)
	if err != nil {
		return nil, err
	}
	meta := &raft.SnapshotMeta{Index: index, Term: term, Configuration: conf, ConfigurationIndex: confIndex}
	return &snapshotSink{SnapshotSink: file, meta: meta, check: newSnapshotCheck(meta), settle: s.settle, kin: &s.kin}, nil
}

// snapshotSink refuses at Close what is not a whole snapshot of its index.
type snapshotSink struct {
	raft.SnapshotSink
	meta   *raft.SnapshotMeta
	check  *snapshotCheck
	settle func(index, term uint64) error
	kin    *kin
	closed bool
}

func (s *snapshotSink) Write(p []byte) (int, error) {
	s.check.Write(p)
	return s.SnapshotSink.Write(p)
}

// put writes a whole snapshot of the replica's own state.
func (s *snapshotSink) put(applied uint64, state []byte) error {
	if len(state) > maxSnapshot-snapshotHeader {
		return fmt.Errorf("a snapshot has at most %d bytes", maxSnapshot-snapshotHeader)
	}
	head := append(make([]byte, 0, snapshotHeader), snapshotMagic...)
	head = binary.BigEndian.AppendUint32(head, snapshotVersion)
	head = binary.BigEndian.AppendUint64(head, applied)
	head = binary.BigEndian.AppendUint64(head, s.meta.Index)
	head = binary.BigEndian.AppendUint64(head, s.meta.Term)
	head = binary.BigEndian.AppendUint64(head, uint64(len(state)))
	lineage := s.kin.now()
	head = append(head, lineage[:]...)
	sum := sha256.New()
	sum.Write(head)
	sum.Write(configurationBytes(s.meta))
	sum.Write(state)
	if _, err := s.Write(sum.Sum(head)); err != nil {
		return err
	}
	_, err := s.Write(state)
	return err
}

// Close keeps the snapshot, or deletes it and says why.
func (s *snapshotSink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.check.whole()
	if err == nil {
		err = s.kin.admit(s.check.lineage())
	}
	if err != nil {
		s.SnapshotSink.Cancel()
		return err
	}
	reach(beforeSnapshot)
	if err := s.SnapshotSink.Close(); err != nil {
		return err
	}
	reach(afterSnapshot)
	return s.settle(s.meta.Index, s.meta.Term)
}

// snapshotCheck verifies a snapshot as it passes by.
type snapshotCheck struct {
	meta *raft.SnapshotMeta
	head []byte
	size uint64 // bytes of state so far
	sum  hash.Hash
}

func newSnapshotCheck(meta *raft.SnapshotMeta) *snapshotCheck {
	return &snapshotCheck{meta: meta, sum: sha256.New()}
}

func (c *snapshotCheck) Write(p []byte) (int, error) {
	n := len(p)
	if missing := snapshotHeader - len(c.head); missing > 0 {
		take := min(missing, n)
		c.head, p = append(c.head, p[:take]...), p[take:]
		if take < missing {
			return n, nil
		}
		c.sum.Write(c.head[:snapshotSummed])
		c.sum.Write(configurationBytes(c.meta))
	}
	c.size += uint64(len(p))
	c.sum.Write(p)
	return n, nil
}

// whole reports whether all that passed by is one snapshot, the one expected.
func (c *snapshotCheck) whole() error {
	h, err := parseSnapshotHeader(c.head)
	switch {
	case err != nil:
		return err
	case h.index != c.meta.Index || h.term != c.meta.Term || h.applied > h.index:
		return fmt.Errorf("a snapshot of index %d stands in for one of index %d: %w", h.index, c.meta.Index, ErrCorrupt)
	case h.length != c.size:
		return fmt.Errorf("a snapshot has %d bytes of state instead of %d: %w", c.size, h.length, ErrCorrupt)
	case !bytes.Equal(c.sum.Sum(nil), c.head[snapshotSummed:]):
		return fmt.Errorf("a snapshot does not match its SHA-256: %w", ErrCorrupt)
	}
	return nil
}

// lineage is read from a snapshot that is whole.
func (c *snapshotCheck) lineage() Lineage {
	return Lineage(c.head[snapshotSummed-len(Lineage{}) : snapshotSummed])
}

type snapshotHead struct {
	applied, index, term, length uint64
	lineage                      Lineage
}

func parseSnapshotHeader(head []byte) (snapshotHead, error) {
	if len(head) < snapshotHeader || string(head[:8]) != snapshotMagic {
		return snapshotHead{}, fmt.Errorf("this is no snapshot: %w", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(head[8:]); v != snapshotVersion {
		return snapshotHead{}, fmt.Errorf("a snapshot has version %d, this program reads %d: install the newer program", v, snapshotVersion)
	}
	return snapshotHead{
		applied: binary.BigEndian.Uint64(head[12:]),
		index:   binary.BigEndian.Uint64(head[20:]),
		term:    binary.BigEndian.Uint64(head[28:]),
		length:  binary.BigEndian.Uint64(head[36:]),
		lineage: Lineage(head[44:snapshotSummed]),
	}, nil
}

// configurationBytes is what the checksum covers of raft's metadata.
func configurationBytes(meta *raft.SnapshotMeta) []byte {
	return append(raft.EncodeConfiguration(meta.Configuration), indexKey(meta.ConfigurationIndex)...)
}
