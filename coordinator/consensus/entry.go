package consensus

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// A log entry on disk, numbers big-endian:
//
//	0   format, 1
//	1   CRC-32C of the index and of everything from offset 5 on
//	5   term
//	13  type
//	14  when the leader appended it, Unix nanoseconds, 0 if unknown
//	22  length of the data
//	26  data, then extensions
//
// The index is the entry's key. It is under the checksum so that an entry
// cannot pass for another one.
const (
	entryFormat = 1
	entryHeader = 26
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func indexKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, index)
}

func checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

func encodeEntry(l *raft.Log) []byte {
	raw := make([]byte, 5, entryHeader+len(l.Data)+len(l.Extensions))
	raw[0] = entryFormat
	raw = binary.BigEndian.AppendUint64(raw, l.Term)
	raw = append(raw, byte(l.Type))
	var appended int64
	if !l.AppendedAt.IsZero() {
		appended = l.AppendedAt.UnixNano()
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(appended))
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(l.Data)))
	raw = append(raw, l.Data...)
	raw = append(raw, l.Extensions...)
	binary.BigEndian.PutUint32(raw[1:], checksum(indexKey(l.Index), raw[5:]))
	return raw
}

// decodeEntry fills l with copies: raw may be memory that bbolt takes back.
func decodeEntry(index uint64, raw []byte, l *raft.Log) error {
	if len(raw) < entryHeader {
		return fmt.Errorf("log entry %d is cut short: %w", index, ErrCorrupt)
	}
	if raw[0] != entryFormat {
		return fmt.Errorf("log entry %d has unknown format %d: %w", index, raw[0], ErrCorrupt)
	}
	if binary.BigEndian.Uint32(raw[1:]) != checksum(indexKey(index), raw[5:]) {
		return fmt.Errorf("log entry %d does not match its checksum: %w", index, ErrCorrupt)
	}
	size := uint64(binary.BigEndian.Uint32(raw[22:]))
	if size > uint64(len(raw)-entryHeader) {
		return fmt.Errorf("log entry %d claims more data than it has: %w", index, ErrCorrupt)
	}
	body := append([]byte(nil), raw[entryHeader:]...)
	*l = raft.Log{
		Index: index,
		Term:  binary.BigEndian.Uint64(raw[5:]),
		Type:  raft.LogType(raw[13]),
		Data:  body[:size:size],
	}
	if uint64(len(body)) > size {
		l.Extensions = body[size:]
	}
	if appended := int64(binary.BigEndian.Uint64(raw[14:])); appended != 0 {
		l.AppendedAt = time.Unix(0, appended)
	}
	return nil
}

// seal puts a checksum in front of a small record, bound to its key.
func seal(key string, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, checksum([]byte(key), body)), body...)
}

// unseal gives the record back, as a view of raw.
func unseal(key string, raw []byte) ([]byte, error) {
	if len(raw) < 4 || binary.BigEndian.Uint32(raw) != checksum([]byte(key), raw[4:]) {
		return nil, fmt.Errorf("record %q does not match its checksum: %w", key, ErrCorrupt)
	}
	return raw[4:], nil
}
