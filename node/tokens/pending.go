package tokens

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// The batch under way is on disk before its ticket is posted, and until its
// tokens are. A ticket is debited for good: without the blinds of its batch, a
// process that ends in between would have to ask for the same people again,
// under another one. It holds identifiers, sealed.
const filePending = "pending.age"

// maxPending bounds the file, in bytes: 4,096 long addresses with their blinds.
const maxPending = 8 << 20

// batch is the people of one ticket.
type batch struct {
	ids      []warehouse.PersonID
	blinding *oprf.Blinding
	encoded  []byte // the blinded elements
	sequence int64  // of the ticket, once it is committed
}

// newBatch blinds the inputs of some people.
func newBatch(ids []warehouse.PersonID, inputs [][]byte) (*batch, error) {
	blinding, blinded, err := oprf.Blind(inputs)
	if err != nil {
		return nil, err
	}
	return &batch{ids: ids, blinding: blinding, encoded: oprf.EncodeElements(blinded)}, nil
}

func (b *batch) ticket(epoch protocol.Epoch, sequence int64) protocol.Ticket {
	return protocol.Ticket{Epoch: epoch, Root: protocol.HashOf(b.encoded), Count: len(b.ids), Sequence: sequence}
}

func (c *Cache) pendingPath() string { return filepath.Join(c.dir, filePending) }

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
	if err := seal.WriteFile(c.pendingPath(), []seal.Recipient{c.identity.Recipient()}, append(plain, blinding...)); err != nil {
		return fmt.Errorf("keep the batch under way: %w", err)
	}
	return nil
}

var errPending = errors.New("the batch under way does not decode")

// pending reads back the batch under way; nil if there is none.
func (c *Cache) pending() (*batch, error) {
	plain, err := seal.ReadFile(c.pendingPath(), c.identity, maxPending)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the batch under way: %w", err)
	}
	if len(plain) < 4 {
		return nil, errPending
	}
	count := int(binary.BigEndian.Uint32(plain))
	if plain = plain[4:]; count > protocol.MaxBatch || len(plain) < 8*count {
		return nil, errPending
	}
	b := &batch{ids: make([]warehouse.PersonID, count)}
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

// dropPending ends the batch under way, once its tokens are on disk.
func (c *Cache) dropPending() error {
	if err := os.Remove(c.pendingPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end the batch under way: %w", err)
	}
	return nil
}

// hasAll reports whether a batch's tokens are all there: the process ended
// between keeping them and ending the batch.
func (c *Cache) hasAll(b *batch) bool {
	for _, id := range b.ids {
		if !c.Has(id) {
			return false
		}
	}
	return true
}
