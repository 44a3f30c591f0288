// Package archive is the federation's log outside of the federation: a copy of
// all of it, and the proof of a single entry. Each is a file that anybody can
// check who trusts the genesis hash, without asking anybody. It implements the
// offline checks of protocol.md section 9.
//
// A copy is a first line that names the form and holds a checkpoint, then each
// entry of the log on a line of its own, as the log has it. Entries that came
// after the checkpoint are in it too: the signatures in them stand, and no
// replica has vouched for their order yet.
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
	"coulisse/protocol/tlog"
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
	// Covered is how many entries the checkpoint is of.
	Covered int64 `json:"covered"`
}

// Bounds of a line, in bytes: the genesis holds every founder's card.
const (
	maxHeader  = 2 * checkpoint.MaxNote
	maxGenesis = 16 << 20
	maxEntry   = 2 * protocol.MaxDocument
)

// batch is how many entries are read at once while the log is held.
const batch = 256

// Header is the first line of a copy, before the entries.
func Header(checkpoint []byte, covered int64) ([]byte, error) {
	line, err := protocol.Canonical(header{Format, string(checkpoint), covered})
	if err != nil {
		return nil, err
	}
	return append(line, '\n'), nil
}

// Write writes a copy of the log as it is now, with a checkpoint of it. view
// runs a function over the log; it is called again and again, so that the log
// goes on meanwhile.
func Write(w io.Writer, c checkpoint.Checkpoint, view func(func(federation.Tx) error) error) error {
	first, err := Header([]byte(c.String()), c.Head.Size)
	if err != nil {
		return err
	}
	end := c.Head.Size
	if err := view(func(tx federation.Tx) error { end = max(end, federation.Size(tx)); return nil }); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	_, _ = out.Write(first) // Flush tells
	for seq := int64(0); seq < end; {
		var lines bytes.Buffer
		err := view(func(tx federation.Tx) error {
			for n := 0; n < batch && seq < end; n, seq = n+1, seq+1 {
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
	// Head is that of all that a copy holds; in a proof, the checkpoint's.
	Head protocol.Head
	// At is when the last entry was accepted; in a proof, the entry.
	At protocol.Millis
}

// Verify replays a copy by the same rules as every node, from the genesis: each
// signature is verified, each ballot counted and each budget charged again. The
// log must then be the one of the checkpoint, which a replica has signed.
func Verify(r io.Reader, federationID protocol.Hash) (Statement, error) {
	s, _, err := Read(r, federationID)
	return s, err
}

// Read is a Verify that returns the log as well.
func Read(r io.Reader, federationID protocol.Hash) (Statement, *federation.Memory, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	first, err := readLine(lines, maxHeader)
	if errors.Is(err, io.EOF) {
		return Statement{}, nil, fmt.Errorf("%w: it is empty", ErrArchive)
	}
	if err != nil {
		return Statement{}, nil, err
	}
	h, err := protocol.Decode[header](first)
	if err != nil || h.Format != Format {
		return Statement{}, nil, fmt.Errorf("%w: it is not a %s", ErrArchive, Format)
	}
	log, then, err := replay(lines, federationID, h.Covered)
	if err != nil {
		return Statement{}, nil, err
	}
	s := Statement{Federation: federationID, At: federation.Time(log)}
	if s.View, err = federation.View(log); err != nil {
		return Statement{}, nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if s.Head, err = federation.Head(log); err != nil {
		return Statement{}, nil, err
	}
	if s.Checkpoint, err = checkpoint.Open([]byte(h.Checkpoint), then); err != nil {
		return Statement{}, nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if h.Covered != s.Checkpoint.Head.Size { // it was opened under the keys of then
		return Statement{}, nil, fmt.Errorf("%w: its checkpoint is not of the %d entries that it states", ErrArchive, h.Covered)
	}
	if err := holds(log, s); err != nil {
		return Statement{}, nil, err
	}
	return s, log, nil
}

// holds checks that the checkpoint is of this log.
func holds(log *federation.Memory, s Statement) error {
	covered := protocol.Head{}
	var err error
	if s.Checkpoint.Head.Size <= s.Head.Size {
		if covered, err = tlog.HeadAt(log, s.Checkpoint.Head.Size); err != nil {
			return err
		}
	}
	if covered != s.Checkpoint.Head {
		return fmt.Errorf("%w: its %d entries are not the log of its checkpoint, which has %d",
			ErrArchive, s.Head.Size, s.Checkpoint.Head.Size)
	}
	return nil
}

// replay returns the log, and the governance as it was after so many entries.
func replay(lines *bufio.Reader, federationID protocol.Hash, covered int64) (log *federation.Memory, then governance.View, err error) {
	log = new(federation.Memory)
	for limit := maxGenesis; ; limit = maxEntry {
		raw, err := readLine(lines, limit)
		if errors.Is(err, io.EOF) {
			return log, then, nil
		}
		if err != nil {
			return nil, then, err
		}
		seq := federation.Size(log)
		entry, err := protocol.Decode[protocol.Entry](raw)
		if err == nil {
			err = log.Apply(entry)
		}
		if err != nil {
			return nil, then, fmt.Errorf("%w: entry %d: %w", ErrArchive, seq, err)
		}
		if seq > 0 && seq+1 != covered {
			continue
		}
		if then, err = federation.View(log); err != nil {
			return nil, then, err
		}
		if err := checkFederation(then.Federation, federationID); err != nil {
			return nil, then, err
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
