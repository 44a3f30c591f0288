package tokens

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// A run is a sealed file that is written once: tokens in ascending order of
// their people's numbers. Under the seal it has
//
//	groups   up to 8,192 numbers (8 bytes each, big-endian), then as many
//	         tokens (64 bytes); all groups but the last are full
//	index    the first number of each group
//	footer   the format, the key epoch, the run's name, the number of tokens,
//	         the last number
//
// The numbers of a full group fill one chunk of the seal, and 1,024 tokens
// another: who has a token is read without the tokens, and one person's
// without the others'.
const (
	numberSize = 8
	groupLen   = seal.ChunkSize / numberSize
	pageLen    = seal.ChunkSize / oprf.TokenSize
	groupSize  = groupLen * (numberSize + oprf.TokenSize)
	footerSize = 8 + 8 + nameSize + 8 + numberSize
	nameSize   = 16
	runFormat  = uint64(1)
)

// maxRun bounds the tokens of a run: far more than there are people.
const maxRun = 1 << 36

// runName is drawn at random, so that no run takes another's place.
type runName [nameSize]byte

func (n runName) file() string { return fmt.Sprintf(runPrefix+"%x.age", n[:]) }

const runPrefix = "run-"

// runInfo is what the list of runs says of one.
type runInfo struct {
	name  runName
	level uint8 // how often its tokens were merged
	count int64
}

func (i runInfo) groups() int64 { return (i.count + groupLen - 1) / groupLen }

// size is the content's, in bytes.
func (i runInfo) size() int64 {
	return i.count*(numberSize+oprf.TokenSize) + i.groups()*numberSize + footerSize
}

func (i runInfo) footer(epoch protocol.Epoch, last warehouse.PersonID) []byte {
	b := binary.BigEndian.AppendUint64(nil, runFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(epoch))
	b = append(b, i.name[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(i.count))
	return binary.BigEndian.AppendUint64(b, uint64(last))
}

// errRun: a run's content is not what the list of runs, or the format, says.
var errRun = errors.New("a file of tokens is not the one that was written")

// run is a run that is open for reading.
type run struct {
	runInfo
	file   *seal.FileAt
	firsts []warehouse.PersonID // of each group
	last   warehouse.PersonID   // of all

	// The cache's mu guards how many read it, and what is to become of it then.
	readers       int
	ended, remove bool
	gone          chan struct{} // closed when that is done
}

// openRun opens a run and reads its end.
func openRun(dir string, identity *seal.Identity, epoch protocol.Epoch, info runInfo) (*run, error) {
	if info.count < 1 || info.count > maxRun {
		return nil, errRun
	}
	file, err := seal.OpenFileAt(filepath.Join(dir, info.name.file()), identity)
	if err != nil {
		return nil, err
	}
	r := &run{runInfo: info, file: file, gone: make(chan struct{})}
	if err := r.readEnd(epoch); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

func (r *run) readEnd(epoch protocol.Epoch) error {
	if r.file.Size() != r.size() {
		return errRun
	}
	end := make([]byte, r.groups()*numberSize+footerSize)
	if err := r.readAt(end, r.size()-int64(len(end))); err != nil {
		return err
	}
	index, footer := end[:r.groups()*numberSize], end[r.groups()*numberSize:]
	r.last = warehouse.PersonID(binary.BigEndian.Uint64(footer[footerSize-numberSize:]))
	if !bytes.Equal(footer, r.footer(epoch, r.last)) {
		return errRun
	}
	for ; len(index) > 0; index = index[numberSize:] {
		r.firsts = append(r.firsts, warehouse.PersonID(binary.BigEndian.Uint64(index)))
	}
	if r.firsts[0] < 0 || !slices.IsSorted(append(r.firsts, r.last)) {
		return errRun
	}
	return nil
}

// readAt reads all of p.
func (r *run) readAt(p []byte, off int64) error {
	n, err := r.file.ReadAt(p, off)
	switch {
	case err != nil && err != io.EOF:
		return err
	case n < len(p):
		return errRun
	}
	return nil
}

// groupOf is the group in which a number is, if it is in the run at all.
func (r *run) groupOf(id warehouse.PersonID) int {
	at, found := slices.BinarySearch(r.firsts, id)
	if found {
		return at
	}
	return max(at-1, 0)
}

// lastOf bounds the numbers of a group.
func (r *run) lastOf(group int) warehouse.PersonID {
	if group+1 < len(r.firsts) {
		return r.firsts[group+1] - 1
	}
	return r.last
}

// lenOf is how many tokens a group has.
func (r *run) lenOf(group int) int { return int(min(groupLen, r.count-int64(group)*groupLen)) }

// runWriter writes a run.
type runWriter struct {
	info    runInfo
	epoch   protocol.Epoch
	file    *seal.File
	last    warehouse.PersonID
	index   []byte
	numbers []byte
	tokens  []byte
}

// newRunWriter begins a run. The caller defers discard and ends with finish.
func newRunWriter(dir string, identity *seal.Identity, epoch protocol.Epoch, name runName, level uint8) (*runWriter, error) {
	file, err := seal.Create(filepath.Join(dir, name.file()), identity.Recipient())
	if err != nil {
		return nil, err
	}
	return &runWriter{info: runInfo{name: name, level: level}, epoch: epoch, file: file, last: -1}, nil
}

// add adds the token of somebody numbered above all those before.
func (w *runWriter) add(id warehouse.PersonID, token *oprf.Token) error {
	if id <= w.last {
		return errRun
	}
	w.last = id
	w.numbers = binary.BigEndian.AppendUint64(w.numbers, uint64(id))
	w.tokens = append(w.tokens, token[:]...)
	w.info.count++
	if len(w.numbers) == groupLen*numberSize {
		return w.endGroup()
	}
	return nil
}

func (w *runWriter) endGroup() error {
	if len(w.numbers) == 0 {
		return nil
	}
	w.index = append(w.index, w.numbers[:numberSize]...)
	for _, part := range [][]byte{w.numbers, w.tokens} {
		if _, err := w.file.Write(part); err != nil {
			return err
		}
	}
	w.numbers, w.tokens = w.numbers[:0], w.tokens[:0]
	return nil
}

// finish puts the run in its place, on disk.
func (w *runWriter) finish() (runInfo, error) {
	if err := w.endGroup(); err != nil {
		return runInfo{}, err
	}
	if _, err := w.file.Write(append(w.index, w.info.footer(w.epoch, w.last)...)); err != nil {
		return runInfo{}, err
	}
	return w.info, w.file.CommitNew()
}

func (w *runWriter) discard() { w.file.Discard() }
