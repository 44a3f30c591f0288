package node

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"coulisse/crypto/seal"
	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// erasedList knows who was erased, so that the next import of an old export
// does not bring them back. It holds no identifier: a keyed hash of each, with
// the key beside them, under the seal of the folder's identity. See
// docs/decisions/0022-erasure.md.
type erasedList struct {
	path     string
	identity *seal.Identity

	// mu guards what follows, which is what the file says.
	mu   sync.RWMutex
	list erasedFile
}

// erasedFile is the list as it is sealed.
type erasedFile struct {
	Key     []byte        `json:"key"` // of the hashes, drawn once
	Entries []erasedEntry `json:"entries"`
}

type erasedEntry struct {
	Hash []byte     `json:"hash"`
	Note ErasedNote `json:"note"`
}

// ErasedNote says when an identifier was erased, and in which erasure.
type ErasedNote struct {
	Erasure string          `json:"erasure"`
	At      protocol.Millis `json:"at_ms"`
}

// maxErased bounds the file, in bytes: some 300,000 erasures.
const maxErased = 64 << 20

func openErasedList(path string, identity *seal.Identity) (*erasedList, error) {
	l := &erasedList{path: path, identity: identity}
	raw, err := seal.ReadFile(path, identity, maxErased)
	if errors.Is(err, fs.ErrNotExist) {
		l.list.Key = make([]byte, sha256.Size)
		_, _ = rand.Read(l.list.Key) // never fails
		return l, nil                // written with the first entry
	}
	if err == nil {
		l.list, err = protocol.Decode[erasedFile](raw)
	}
	return l, err
}

// name is how somebody was named: an identifier, normalised, or an account.
type name struct{ kind, value string }

func nameOf(id identity.Identifier) name { return name{string(id.Kind), id.Reveal()} }

// hash separates kinds and values with a byte that no kind has. mu is held.
func (l *erasedList) hash(n name) []byte {
	mac := hmac.New(sha256.New, l.list.Key)
	mac.Write([]byte(n.kind))
	mac.Write([]byte{0})
	mac.Write([]byte(n.value))
	return mac.Sum(nil)
}

// place is where a name is in the list; mu is held.
func (l *erasedList) place(n name) (int, bool) {
	return slices.BinarySearchFunc(l.list.Entries, l.hash(n), func(e erasedEntry, hash []byte) int {
		return slices.Compare(e.Hash, hash)
	})
}

// find returns the note of the first of the names that was erased; nil if none
// was.
func (l *erasedList) find(names ...name) *ErasedNote {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.list.Entries) == 0 {
		return nil // as in most houses, for each row of a file
	}
	for _, n := range names {
		if at, found := l.place(n); found {
			note := l.list.Entries[at].Note
			return &note
		}
	}
	return nil
}

// add keeps names out from now on. Who is in the list already stays as it was.
func (l *erasedList) add(note ErasedNote, names ...name) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := slices.Clone(l.list.Entries)
	for _, n := range names {
		if at, found := l.place(n); !found {
			l.list.Entries = slices.Insert(l.list.Entries, at, erasedEntry{l.hash(n), note})
		}
	}
	return l.write(entries)
}

// drop lets a name in again, and reports whether it was in the list.
func (l *erasedList) drop(n name) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := slices.Clone(l.list.Entries)
	at, found := l.place(n)
	if !found {
		return false, nil
	}
	l.list.Entries = slices.Delete(l.list.Entries, at, at+1)
	return true, l.write(entries)
}

// write puts the list on disk, or before back in its place. mu is held.
func (l *erasedList) write(before []erasedEntry) error {
	raw, err := protocol.Canonical(l.list)
	if err == nil {
		err = seal.WriteFile(l.path, []seal.Recipient{l.identity.Recipient()}, raw)
	}
	if err != nil {
		l.list.Entries = before
	}
	return err
}

// sieve is a sink that keeps out rows about people who were erased, and counts
// them in the report.
type sieve struct {
	importer.Sink
	erased *erasedList
	out    importer.Refused
}

// intake is the way in for a file.
func (h *House) intake() *sieve { return &sieve{Sink: h.warehouse.Intake(), erased: h.erased} }

// People implements [importer.Sink].
func (s *sieve) People(ctx context.Context, people []importer.PersonRow) error {
	people = slices.Clone(people)
	kept := people[:0]
	for _, p := range people {
		if s.passes(p.Email, &p.Phone) {
			kept = append(kept, p)
			continue
		}
		s.out.Lines = append(s.out.Lines, p.Line)
	}
	return s.Sink.People(ctx, kept)
}

// Tickets implements [importer.Sink].
func (s *sieve) Tickets(ctx context.Context, tickets []importer.TicketRow) error {
	tickets = slices.Clone(tickets)
	kept := tickets[:0]
	for _, t := range tickets {
		if s.passes(t.Email, &t.Phone) {
			kept = append(kept, t)
			continue
		}
		s.out.Lines = append(s.out.Lines, t.Line)
		s.out.Tickets, s.out.Cents = s.out.Tickets+t.Quantity, s.out.Cents+t.Cents
	}
	return s.Sink.Tickets(ctx, kept)
}

// passes judges by the identifier that stands for the person. A telephone that
// was erased is taken out of a row that is about somebody else.
func (s *sieve) passes(email *identity.Identifier, phone **identity.Identifier) bool {
	if *phone != nil && s.erased.find(nameOf(**phone)) != nil {
		*phone = nil
	}
	return email == nil && *phone != nil || email != nil && s.erased.find(nameOf(*email)) == nil
}

// Commit implements [importer.Sink].
func (s *sieve) Commit(ctx context.Context, report importer.Report) error {
	return s.Sink.Commit(ctx, report.Less(importer.ReasonErased, s.out))
}

// sifted is the warehouse as events come to it: that a browser declared, before
// an erasure, to be who was erased is not taken in. What it declares later is
// somebody who came back.
type sifted struct {
	*warehouse.Warehouse
	erased *erasedList
}

// Take implements [collect.Warehouse].
func (s sifted) Take(ctx context.Context, b warehouse.Batch) (int, error) {
	b.Links = slices.DeleteFunc(slices.Clone(b.Links), func(l warehouse.Link) bool {
		note := s.erased.find(name{l.Kind, l.Value})
		return note != nil && protocol.At(l.At) <= note.At
	})
	return s.Warehouse.Take(ctx, b)
}
