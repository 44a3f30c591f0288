package tokens

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// A batch under way is on disk before its ticket is posted, and until its tokens
// are. A ticket is debited for good: without the blinds of its batch, a process
// that ends in between would have to ask for the same people again, under
// another one. It holds identifiers, sealed. Its name has the number of its
// ticket.
const (
	pendingPrefix = "pending-"
	pendingSuffix = ".age"
)

// maxPending bounds the file, in bytes: 4,096 long addresses with their blinds.
const maxPending = 8 << 20

// batch is the people of one ticket.
type batch struct {
	ids      []warehouse.PersonID
	blinding *oprf.Blinding
	encoded  []byte // the blinded elements
	sequence int64  // of the ticket, from when it is on disk
}

// newBatch blinds the inputs of some people.
func newBatch(ids []warehouse.PersonID, inputs [][]byte) (*batch, error) {
	blinding, blinded, err := oprf.Blind(inputs)
	if err != nil {
		return nil, err
	}
	return &batch{ids: ids, blinding: blinding, encoded: oprf.EncodeElements(blinded)}, nil
}

func (b *batch) ticket(epoch protocol.Epoch) protocol.Ticket {
	return protocol.Ticket{Epoch: epoch, Root: protocol.HashOf(b.encoded), Count: len(b.ids), Sequence: b.sequence}
}

func (c *Cache) pendingPath(sequence int64) string {
	return filepath.Join(c.dir, fmt.Sprintf("%s%016x%s", pendingPrefix, sequence, pendingSuffix))
}

// keepPending puts a batch on disk: how many people, their numbers, the
// blinding.
func (c *Cache) keepPending(b *batch) error {
	plain := binary.BigEndian.AppendUint32(nil, uint32(len(b.ids)))
	for _, id := range b.ids {
		plain = binary.BigEndian.AppendUint64(plain, uint64(id))
	}
	blinding, err := b.blinding.MarshalBinary()
	if err != nil {
		return err
	}
	if err := seal.WriteFile(c.pendingPath(b.sequence), []seal.Recipient{c.identity.Recipient()}, append(plain, blinding...)); err != nil {
		return fmt.Errorf("keep a batch under way: %w", err)
	}
	return nil
}

var errPending = errors.New("a batch under way does not decode")

// pending lists the batches under way, in order of their tickets.
func (c *Cache) pending() (sequences []int64, err error) {
	entries, err := os.ReadDir(c.dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("list the batches under way: %w", err)
	}
	for _, entry := range entries {
		digits, named := strings.CutPrefix(strings.TrimSuffix(entry.Name(), pendingSuffix), pendingPrefix)
		if !named {
			continue
		}
		sequence, err := strconv.ParseInt(digits, 16, 64)
		if err != nil {
			return nil, c.explain(errPending)
		}
		sequences = append(sequences, sequence)
	}
	return sequences, nil
}

// readPending reads a batch back.
func (c *Cache) readPending(sequence int64) (*batch, error) {
	plain, err := seal.ReadFile(c.pendingPath(sequence), c.identity, maxPending)
	if err != nil {
		return nil, c.explain(fmt.Errorf("read a batch under way: %w", err))
	}
	if len(plain) < 4 {
		return nil, errPending
	}
	count := int(binary.BigEndian.Uint32(plain))
	if plain = plain[4:]; count > protocol.MaxBatch || len(plain) < 8*count {
		return nil, errPending
	}
	b := &batch{ids: make([]warehouse.PersonID, count), sequence: sequence}
	for i := range b.ids {
		b.ids[i] = warehouse.PersonID(binary.BigEndian.Uint64(plain[8*i:]))
	}
	blinding, blinded, err := oprf.ParseBlinding(plain[8*count:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPending, err)
	}
	if len(blinded) != count {
		return nil, errPending
	}
	b.blinding, b.encoded = blinding, oprf.EncodeElements(blinded)
	return b, nil
}

// renumber gives a batch that has no ticket another number.
func (c *Cache) renumber(b *batch, sequence int64) error {
	if b.sequence == sequence {
		return nil
	}
	if err := os.Rename(c.pendingPath(b.sequence), c.pendingPath(sequence)); err != nil {
		return fmt.Errorf("renumber a batch under way: %w", err)
	}
	b.sequence = sequence
	return nil
}

// dropPending ends a batch, once its tokens are on disk.
func (c *Cache) dropPending(b *batch) error {
	if err := os.Remove(c.pendingPath(b.sequence)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end a batch under way: %w", err)
	}
	return nil
}

// hasAll reports whether a batch's tokens are all there: the process ended
// between keeping them and ending the batch.
func (c *Cache) hasAll(b *batch) (all bool, err error) {
	err = c.walk(0, func(m *merged) error {
		for _, id := range slices.Sorted(slices.Values(b.ids)) {
			if err := m.seek(id); err != nil || !m.has(id) {
				return err
			}
		}
		all = true
		return nil
	})
	return all, err
}
