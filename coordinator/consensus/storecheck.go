package consensus

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"runtime/debug"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// load reads the whole file into the checks and the two records into memory.
func (s *store) load(tx *bolt.Tx) error {
	log, state := tx.Bucket(bucketLog), tx.Bucket(bucketState)
	if log == nil || state == nil {
		return fmt.Errorf("the log's file has lost its layout: %w", ErrCorrupt)
	}
	recorded, err := unsealExtent(state.Get([]byte(keyExtent)))
	if err != nil {
		return err
	}
	if err := scan(log, recorded); err != nil {
		return err
	}
	s.extent.Store(&recorded)
	s.stable, err = unsealStable(state.Get([]byte(keyStable)))
	return err
}

// scan makes sure that the log holds the entries recorded and nothing else: it
// looks each of them up, and counts what a walk finds.
func scan(log *bolt.Bucket, recorded extent) error {
	found := uint64(0)
	cursor := log.Cursor()
	for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
		found++
	}
	if (recorded.last == 0) != (found == 0) || found > 0 && found != recorded.last-recorded.first+1 {
		return fmt.Errorf("the log holds %d entries instead of those from %d to %d: %w",
			found, recorded.first, recorded.last, ErrCorrupt)
	}
	for index := recorded.first; found > 0; index, found = index+1, found-1 {
		if err := decodeEntry(index, log.Get(indexKey(index)), new(raft.Log)); err != nil {
			return err
		}
	}
	return nil
}

// settle makes the log continue a snapshot that ends at that index and term,
// as raft's paper has it (figure 13): if the log holds that very entry, what
// follows it stays; otherwise the whole log goes.
//
// raft leaves the old entries in place when a lagging replica takes a snapshot
// in. They may have lost an election: as leader, the replica would send them to
// a follower that lags even more, which would apply them.
//
// It reports whether raft, if it is running, must be started afresh: it would
// go on as though the entries after the snapshot were there.
func (s *store) settle(index, term uint64) (restart bool, err error) {
	now := *s.extent.Load()
	if now.last == 0 || now.first == index+1 {
		return false, nil
	}
	if now.first > index {
		return false, fmt.Errorf("the log begins at %d but the newest snapshot ends at %d: %w", now.first, index, ErrCorrupt)
	}
	if index <= now.last {
		var at raft.Log
		if err := s.GetLog(index, &at); err != nil {
			return false, err
		}
		if at.Term == term {
			return false, nil
		}
	}
	return index <= now.last, s.DeleteRange(now.first, now.last)
}

// note remembers, once a snapshot is on disk, that there is one up to an index.
func (s *store) note(index uint64) error {
	known, err := s.GetUint64([]byte(keySnapshot))
	if err != nil || index <= known {
		return err
	}
	return s.SetUint64([]byte(keySnapshot), index)
}

// noted refuses what there is in the place of the newest snapshot that there
// was: nothing, or an older one.
func (s *store) noted(newest *raft.SnapshotMeta) error {
	known, err := s.GetUint64([]byte(keySnapshot))
	switch {
	case err != nil:
		return err
	case newest == nil && known > 0:
		return fmt.Errorf("there was a snapshot up to %d, and there is none: %w", known, ErrCorrupt)
	case newest != nil && newest.Index < known:
		return fmt.Errorf("there was a snapshot up to %d, and the newest goes up to %d: %w", known, newest.Index, ErrCorrupt)
	}
	return nil
}

func sealExtent(e extent) []byte {
	return seal(keyExtent, append(indexKey(e.first), indexKey(e.last)...))
}

func unsealExtent(raw []byte) (extent, error) {
	body, err := unseal(keyExtent, raw)
	if err != nil {
		return extent{}, err
	}
	if len(body) != 16 {
		return extent{}, fmt.Errorf("record %q has the wrong length: %w", keyExtent, ErrCorrupt)
	}
	return extent{binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:])}, nil
}

func sealStable(values map[string][]byte) ([]byte, error) {
	body, err := json.Marshal(values)
	return seal(keyStable, body), err
}

func unsealStable(raw []byte) (map[string][]byte, error) {
	body, err := unseal(keyStable, raw)
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{}
	if err := json.Unmarshal(body, &values); err != nil {
		return nil, fmt.Errorf("record %q does not parse (%v): %w", keyStable, err, ErrCorrupt)
	}
	return values, nil
}

// checkMeta verifies the two pages that say where bbolt's current tree is.
//
// When the newer one is damaged bbolt quietly takes the older, which is the
// file as it was one transaction ago: an entry or a vote that others count on
// would be gone. A page that a power cut tore could look the same, but it is
// 64 bytes in one sector, which disks write whole.
//
// A meta structure follows the 16-byte header of its page: magic, version, page
// size, flags, root, freelist, high water mark, transaction, and an FNV-1a sum
// of all these, in the machine's byte order.
func checkMeta(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the log's file: %w", err)
	}
	defer file.Close()
	meta, page := make([]byte, 64), int64(0)
	for range 2 {
		if _, err := file.ReadAt(meta, page+16); err != nil {
			return fmt.Errorf("the log's file is cut short (%v): %w", err, ErrCorrupt)
		}
		sum := fnv.New64a()
		sum.Write(meta[:56])
		if binary.NativeEndian.Uint64(meta[56:]) != sum.Sum64() {
			return fmt.Errorf("the log's file has a damaged header: %w", ErrCorrupt)
		}
		page = int64(binary.NativeEndian.Uint32(meta[8:]))
	}
	return nil
}

// withoutFaults turns what bbolt does on a damaged page, a panic or a touch
// beyond the end of its map, into an error.
func withoutFaults(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the log's file cannot be walked (%v): %w", fault, ErrCorrupt)
		}
	}()
	return read()
}
