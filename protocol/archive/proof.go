package archive

import (
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/record"
	"coulisse/protocol/tlog"
)

// ProofFormat names this form of proof.
const ProofFormat = "coulisse-proof/1"

// Proof shows that an entry is in the log of a checkpoint. It holds the genesis
// too, which names the replicas: so it needs no other file.
type Proof struct {
	Format     string        `json:"format"`
	Genesis    record.Proven `json:"genesis"`
	Entry      record.Proven `json:"entry"`
	Checkpoint string        `json:"checkpoint"`
}

// Prove proves an entry of the log under a checkpoint of it.
func Prove(tx federation.Tx, seq int64, c checkpoint.Checkpoint) (p Proof, err error) {
	if seq < 0 || seq >= c.Head.Size {
		return p, protocol.Refuse(federation.ErrNotFound,
			"le dernier point de contrôle couvre les entrées 0 à %d\u00a0; une entrée plus récente y est dans une minute environ",
			"the last checkpoint covers the entries 0 to %d; a newer entry is in it in about a minute", c.Head.Size-1)
	}
	p = Proof{Format: ProofFormat, Checkpoint: c.String()}
	if p.Genesis, err = prove(tx, 0, c.Head.Size); err != nil {
		return p, err
	}
	p.Entry, err = prove(tx, seq, c.Head.Size)
	return p, err
}

func prove(tx federation.Tx, seq, size int64) (p record.Proven, err error) {
	raw, ok := federation.EntryBytes(tx, seq)
	if !ok {
		return p, fmt.Errorf("%w: entry %d", federation.ErrNotFound, seq)
	}
	if p.Entry, err = protocol.Decode[protocol.Entry](raw); err != nil {
		return p, err
	}
	p.Path, err = tlog.Prove(tx, seq, size)
	return p, err
}

// Verify checks the proof from the genesis hash alone. Whether the rules accept
// the entry, only a copy of the log tells; and of the cosigners it knows those
// who founded the federation.
func (p Proof) Verify(federationID protocol.Hash) (Statement, error) {
	if p.Format != ProofFormat {
		return Statement{}, fmt.Errorf("%w: it is not a %s", ErrArchive, ProofFormat)
	}
	founding, err := protocol.Decode[protocol.Founding](p.Genesis.Entry.Doc)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	s := Statement{Federation: federationID, At: p.Entry.Entry.At}
	if s.View, err = governance.Begin(founding); err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if err := checkFederation(s.View.Federation, federationID); err != nil {
		return Statement{}, err
	}
	if s.Checkpoint, err = checkpoint.Open([]byte(p.Checkpoint), s.View); err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	s.Head = s.Checkpoint.Head
	for _, proven := range []record.Proven{p.Genesis, p.Entry} {
		raw, err := protocol.Canonical(proven.Entry)
		if err != nil {
			return Statement{}, fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if err := tlog.Check(s.Checkpoint.Head, proven.Entry.Seq, raw, proven.Path); err != nil {
			return Statement{}, fmt.Errorf("%w: %w", ErrArchive, err)
		}
	}
	return s, nil
}
