package load

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"iter"

	"coulisse/protocol/match"
)

// Tokens gives invented people invented tokens: 64 bytes of AES under a key of
// the seed. To everything after tokenisation they are what the stewards would
// have made, at none of the cost. It is not for concurrent use.
type Tokens struct {
	block cipher.Block
	input [aes.BlockSize]byte
	token [64]byte
}

// NewTokens prepares the tokens of a seed.
func NewTokens(seed uint64) *Tokens {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("load: AES refused a key of 32 bytes: " + err.Error())
	}
	return &Tokens{block: block}
}

// Of is a person's token, until the next call.
func (t *Tokens) Of(id Person) *[64]byte {
	binary.BigEndian.PutUint64(t.input[:], uint64(id))
	for i := range len(t.token) / aes.BlockSize {
		t.input[aes.BlockSize-1] = byte(i)
		t.block.Encrypt(t.token[i*aes.BlockSize:], t.input[:])
	}
	return &t.token
}

// Upload makes a source's upload of people the way its node would.
func (t *Tokens) Upload(ctx context.Context, c match.WriterConfig, h match.Header, people iter.Seq[Person], upload, rows io.Writer) (match.Receipt, error) {
	writer := match.NewWriter(c)
	defer writer.Close()
	for id := range people {
		if err := writer.Add(t.Of(id), match.Row(id)); err != nil {
			return match.Receipt{}, fmt.Errorf("make an invented upload: %w", err)
		}
	}
	return writer.Finish(ctx, h, upload, rows)
}
