// Package archive is the federation's log outside of the federation: a copy of
// all of it, and the proof of a single entry. Each is a file that anybody can
// check who trusts the genesis hash, without asking anybody. It implements the
// offline checks of protocol.md section 9.
//
// A copy is a first line that names the form and holds a checkpoint, then each
// entry up to that checkpoint on a line of its own, as the log has it.
package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// Format names this form of copy.
const Format = "coulisse-log/1"

// ErrArchive: the file does not prove what it states. Ask another member for
// its copy, and keep this one.
var ErrArchive = errors.New("the file does not prove what it states about the log")

// header is the first line.
type header struct {
	Format     string `json:"format"`
	Checkpoint string `json:"checkpoint"`
}

// Bounds of a line, in bytes: the genesis holds every founder's card.
const (
	maxHeader  = 2 * checkpoint.MaxNote
	maxGenesis = 16 << 20
	maxEntry   = 2 * protocol.MaxDocument
)

// batch is how many entries are read at once while the log is held.
const batch = 256

// Write writes a copy of the log up to a checkpoint. view runs a function over
// the log; it is called again and again, so that the log goes on meanwhile.
func Write(w io.Writer, c checkpoint.Checkpoint, view func(func(federation.Tx) error) error) error {
	first, err := protocol.Canonical(header{Format, c.String()})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	_, _ = out.Write(append(first, '\n')) // Flush tells
	for seq := int64(0); seq < c.Head.Size; {
		var lines bytes.Buffer
		err := view(func(tx federation.Tx) error {
			for n := 0; n < batch && seq < c.Head.Size; n, seq = n+1, seq+1 {
				raw, ok := federation.EntryBytes(tx, seq)
				if !ok {
					return fmt.Errorf("%w: entry %d", federation.ErrNotFound, seq)
				}
				lines.Write(raw)
				lines.WriteByte('\n')
			}
			return nil
		})
		if err != nil {
			return err
		}
		_, _ = out.Write(lines.Bytes())
	}
	return out.Flush()
}

// Statement is what a verified file says.
type Statement struct {
	Federation protocol.Hash
	View       governance.View
	Checkpoint checkpoint.Checkpoint
	// At is when the last entry was accepted; in a proof, the entry.
	At protocol.Millis
}

// Verify replays a copy by the same rules as every node, from the genesis: each
// signature is verified, each ballot counted and each budget charged again. The
// log must then be the one of the checkpoint, which a replica has signed.
func Verify(r io.Reader, federationID protocol.Hash) (Statement, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	first, err := readLine(lines, maxHeader)
	if errors.Is(err, io.EOF) {
		return Statement{}, fmt.Errorf("%w: it is empty", ErrArchive)
	}
	if err != nil {
		return Statement{}, err
	}
	h, err := protocol.Decode[header](first)
	if err != nil || h.Format != Format {
		return Statement{}, fmt.Errorf("%w: it is not a %s", ErrArchive, Format)
	}
	log, err := replay(lines, federationID)
	if err != nil {
		return Statement{}, err
	}
	s := Statement{Federation: federationID, At: federation.Time(log)}
	if s.View, err = federation.View(log); err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if s.Checkpoint, err = checkpoint.Open([]byte(h.Checkpoint), s.View); err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	head, err := federation.Head(log)
	if err != nil {
		return Statement{}, err
	}
	if head != s.Checkpoint.Head {
		return Statement{}, fmt.Errorf("%w: its %d entries are not the log of its checkpoint, which has %d",
			ErrArchive, head.Size, s.Checkpoint.Head.Size)
	}
	return s, nil
}

func replay(lines *bufio.Reader, federationID protocol.Hash) (*federation.Memory, error) {
	log := new(federation.Memory)
	for limit := maxGenesis; ; limit = maxEntry {
		raw, err := readLine(lines, limit)
		if errors.Is(err, io.EOF) {
			return log, nil
		}
		if err != nil {
			return nil, err
		}
		seq := federation.Size(log)
		entry, err := protocol.Decode[protocol.Entry](raw)
		if err == nil {
			err = log.Apply(entry)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ErrArchive, seq, err)
		}
		if seq > 0 {
			continue
		}
		view, err := federation.View(log)
		if err != nil {
			return nil, err
		}
		if err := checkFederation(view.Federation, federationID); err != nil {
			return nil, err
		}
	}
}

func checkFederation(found, expected protocol.Hash) error {
	if found != expected {
		return fmt.Errorf("%w: it comes from the federation %s, not from %s", ErrArchive, found.Short(), expected.Short())
	}
	return nil
}

// readLine reads a bounded line without its end. io.EOF is the end of the file.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit+1 {
			return nil, fmt.Errorf("%w: a line is too long", ErrArchive)
		}
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, fmt.Errorf("%w: it ends within a line", ErrArchive)
		default:
			return nil, err
		}
	}
}
