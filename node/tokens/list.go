package tokens

import (
	"encoding/binary"
	"errors"
	"slices"

	"coulisse/crypto/seal"
	"coulisse/protocol"
)

// The list of runs is a sealed file of its own: the format, the key epoch, the
// last ticket whose tokens are kept, and for each run, the oldest first, its
// name, level and count. Whatever is not in it is not there.
const (
	fileList   = "runs.age"
	listFormat = uint64(1)
	listHead   = 8 + 8 + 8
	listEntry  = nameSize + 1 + 8
	// maxRuns is never reached: see merge.
	maxRuns = 1 << 10
)

type list struct {
	sequence int64
	runs     []runInfo
}

// errList: there is no list where there must be one, or another epoch's.
var errList = errors.New("the list of the files of tokens is missing, or not this folder's")

func (l list) count() (n int64) {
	for _, info := range l.runs {
		n += info.count
	}
	return n
}

func (l list) write(path string, identity *seal.Identity, epoch protocol.Epoch) error {
	return seal.WriteFile(path, []seal.Recipient{identity.Recipient()}, l.encode(epoch))
}

func (l list) encode(epoch protocol.Epoch) []byte {
	b := binary.BigEndian.AppendUint64(nil, listFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(l.sequence))
	for _, info := range l.runs {
		b = append(b, info.name[:]...)
		b = append(b, info.level)
		b = binary.BigEndian.AppendUint64(b, uint64(info.count))
	}
	return b
}

func readList(path string, identity *seal.Identity, epoch protocol.Epoch) (list, error) {
	b, err := seal.ReadFile(path, identity, listHead+maxRuns*listEntry)
	if err != nil {
		return list{}, err
	}
	return parseList(b, epoch)
}

func parseList(b []byte, epoch protocol.Epoch) (l list, err error) {
	if len(b) < listHead || (len(b)-listHead)%listEntry != 0 ||
		binary.BigEndian.Uint64(b) != listFormat || binary.BigEndian.Uint64(b[8:]) != uint64(epoch) {
		return l, errList
	}
	l.sequence = int64(binary.BigEndian.Uint64(b[16:]))
	for entry := range slices.Chunk(b[listHead:], listEntry) {
		info := runInfo{level: entry[nameSize], count: int64(binary.BigEndian.Uint64(entry[nameSize+1:]))}
		copy(info.name[:], entry)
		l.runs = append(l.runs, info)
	}
	return l, nil
}
