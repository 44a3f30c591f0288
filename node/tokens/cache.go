// Package tokens turns a member's people into tokens, once each, with the help
// of the key stewards (protocol.md section 3), and keeps the tokens sealed on
// the member's disk. They are pseudonymous personal data and travel nowhere.
package tokens

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"coulisse/crypto/durable"
	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// A batch file holds, for each person of one ticket, the person's number
// (8 bytes, big-endian) and token (64 bytes), in order of the numbers.
const recordSize = 8 + oprf.TokenSize

// Cache is the tokens of one key epoch: a sealed file a ticket, and in memory
// one bit a person.
type Cache struct {
	dir      string
	identity *seal.Identity

	// mu guards known and files.
	mu    sync.RWMutex
	known []uint64 // a bit for each person with a token
	count int64
	files []string // in order of the tickets
}

// OpenCache reads which people have tokens under an epoch.
func OpenCache(dir string, identity *seal.Identity, epoch protocol.Epoch) (*Cache, error) {
	c := &Cache{dir: filepath.Join(dir, fmt.Sprintf("epoch-%d", epoch)), identity: identity}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	for _, entry := range entries { // in order of their names
		if durable.IsTemporary(entry.Name()) {
			if err := os.Remove(filepath.Join(c.dir, entry.Name())); err != nil {
				return nil, fmt.Errorf("open the tokens: %w", err)
			}
			continue
		}
		if !strings.HasPrefix(entry.Name(), "batch-") || !strings.HasSuffix(entry.Name(), ".age") {
			continue
		}
		if err := c.readFile(entry.Name(), func(id warehouse.PersonID, _ *oprf.Token) error { c.mark(id); return nil }); err != nil {
			return nil, fmt.Errorf("open the tokens: %w", err)
		}
		c.files = append(c.files, entry.Name())
	}
	return c, nil
}

func (c *Cache) mark(id warehouse.PersonID) {
	word, bit := id/64, uint64(1)<<(id%64)
	for int(word) >= len(c.known) {
		c.known = append(c.known, make([]uint64, 1+len(c.known))...)
	}
	if c.known[word]&bit == 0 {
		c.known[word] |= bit
		c.count++
	}
}

// Has reports whether a person has a token.
func (c *Cache) Has(id warehouse.PersonID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	word := int(id / 64)
	return word < len(c.known) && c.known[word]&(1<<(id%64)) != 0
}

// Len is how many people have tokens.
func (c *Cache) Len() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.count
}

// Put keeps the tokens of one ticket, whole or not at all.
func (c *Cache) Put(sequence int64, ids []warehouse.PersonID, tokens []oprf.Token) error {
	if len(ids) != len(tokens) {
		return errors.New("keep tokens: one token a person")
	}
	var plain bytes.Buffer
	for i, id := range ids {
		plain.Write(binary.BigEndian.AppendUint64(nil, uint64(id)))
		plain.Write(tokens[i][:])
	}
	name := fmt.Sprintf("batch-%016x.age", sequence)
	if err := seal.WriteFile(filepath.Join(c.dir, name), []seal.Recipient{c.identity.Recipient()}, plain.Bytes()); err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.mark(id)
	}
	c.files = append(c.files, name)
	return nil
}

// Each visits the tokens of those whom want accepts, one file's worth in
// memory at a time.
func (c *Cache) Each(ctx context.Context, want func(warehouse.PersonID) bool, visit func(warehouse.PersonID, *oprf.Token) error) error {
	c.mu.RLock()
	files := slices.Clone(c.files)
	c.mu.RUnlock()
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.readFile(name, func(id warehouse.PersonID, token *oprf.Token) error {
			if !want(id) {
				return nil
			}
			return visit(id, token)
		})
		if err != nil {
			return fmt.Errorf("read tokens: %w", err)
		}
	}
	return nil
}

// readFile takes a batch whole before anything of it is used: only its end
// says that it was not cut.
func (c *Cache) readFile(name string, visit func(warehouse.PersonID, *oprf.Token) error) error {
	plain, err := seal.ReadFile(filepath.Join(c.dir, name), c.identity, protocol.MaxBatch*recordSize)
	if err != nil {
		return err
	}
	if len(plain)%recordSize != 0 {
		return fmt.Errorf("%s: %w", name, io.ErrUnexpectedEOF)
	}
	var token oprf.Token
	for ; len(plain) > 0; plain = plain[recordSize:] {
		copy(token[:], plain[8:recordSize])
		if err := visit(warehouse.PersonID(binary.BigEndian.Uint64(plain)), &token); err != nil {
			return err
		}
	}
	return nil
}
