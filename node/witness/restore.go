package witness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/tlog"
)

// fileSigned holds the largest head under which this node has signed. It
// outlives a lost copy of the log: a coordinator that was set back, or shows
// another history to a node that begins again, is found out.
const fileSigned = "signed.json"

func (w *Witness) restore() error {
	if err := w.replay(); err != nil {
		return err
	}
	if err := w.recallEvidence(); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(w.dir, fileSigned))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was signed yet
	}
	if err != nil {
		return fmt.Errorf("read the head that was signed: %w", err)
	}
	if w.signed, err = protocol.DecodeFile[protocol.Head](text); err != nil {
		return fmt.Errorf("read %s: %w", fileSigned, err)
	}
	if federation.Size(&w.memory) < w.signed.Size {
		return nil // checked when the log has come so far
	}
	// The node goes on serving its member, and signs and follows nothing.
	if err := w.checkAt(w.signed); err != nil && w.stopped == nil {
		w.stopped = fmt.Errorf("%w: %w; the log is in %s", ErrEvidence, err, filepath.Join(w.dir, fileLog))
	}
	return nil
}

// recallEvidence keeps a node that was stopped by what it was shown from
// following on after a restart, until its operator has moved the file away, or
// an upgraded node finds that it proves nothing.
func (w *Witness) recallEvidence() error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return fmt.Errorf("look for evidence: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), evidencePrefix) {
			continue
		}
		if aside, err := w.setAside(e.Name()); aside || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		path := filepath.Join(w.dir, e.Name())
		w.stopped = protocol.Refuse(ErrEvidence,
			"ce nœud a gardé dans %s ce qui prouve que le coordonnateur a montré une autre histoire, ou une entrée contraire aux règles; il ne suit plus le journal et ne signe plus rien; montrez ce fichier au conseil de la coopérative, et, l'affaire réglée, déplacez-le ailleurs puis redémarrez le nœud",
			"this node keeps in %s what proves that the coordinator showed another history, or an entry against the rules; it no longer follows the log and signs nothing more; show this file to the co-operative's board and, once the matter is settled, move it elsewhere and start the node again", path)
		break
	}
	return nil
}

// replay verifies what the snapshot does not cover.
func (w *Witness) replay() error {
	w.recall()
	if _, err := w.file.Seek(w.whole, io.SeekStart); err != nil {
		return fmt.Errorf("read the node's copy of the log: %w", err)
	}
	lines := bufio.NewReaderSize(w.file, 64<<10)
	var bad error // of the last line
	for more := true; more; {
		var block [][]byte
		var err error
		if block, more, err = readBlock(lines); err != nil {
			return fmt.Errorf("read the node's copy of the log: %w", err)
		}
		federation.VerifyEntriesAhead(&w.memory, block)
		for _, line := range block {
			if bad != nil {
				return w.damaged(bad) // more follows: it was not being taken
			}
			if bad = w.verify(line); errors.Is(bad, ErrForeign) {
				return w.damaged(bad)
			}
			if bad == nil {
				w.count(line[:len(line)+1])
			}
		}
	}
	if err := w.file.Truncate(w.whole); err != nil {
		return fmt.Errorf("open the node's copy of the log: %w", err)
	}
	return nil
}

// readBlock reads some lines, without their ends, which follow them in memory,
// and whether there may be more. A line without its end is left out: it was
// being written.
func readBlock(lines *bufio.Reader) (block [][]byte, more bool, err error) {
	for size := 0; size < blockBytes; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return block, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		block, size = append(block, line[:len(line)-1]), size+len(line)
	}
	return block, true, nil
}

// blockBytes is how much of the log is verified together.
const blockBytes = 256 << 10

func (w *Witness) damaged(reason error) error {
	return fmt.Errorf("the node's copy of the log is damaged: %w; move the file %s away and start the node again, it will fetch a fresh copy",
		reason, filepath.Join(w.dir, fileLog))
}

// checkSigned compares the log with what was signed under, when it comes by.
// mu is held.
func (w *Witness) checkSigned() error {
	if federation.Size(&w.memory) != w.signed.Size {
		return nil
	}
	return w.checkAt(w.signed)
}

func (w *Witness) checkAt(signed protocol.Head) error {
	own, err := tlog.HeadAt(&w.memory, signed.Size)
	if err != nil {
		return err
	}
	if own.Root != signed.Root {
		return fmt.Errorf("its first %d entries are not those under which this node has signed", signed.Size)
	}
	return nil
}

// SigningHead is the head to sign under. It is on disk before it is returned,
// so that this node never signs under one log and later follows another.
func (w *Witness) SigningHead() (protocol.Head, error) {
	w.signing.Lock()
	defer w.signing.Unlock()
	w.mu.RLock()
	head, err := federation.Head(&w.memory)
	signed, stopped := w.signed, w.stopped
	w.mu.RUnlock()
	switch {
	case stopped != nil:
		return protocol.Head{}, stopped
	case err != nil:
		return protocol.Head{}, err
	case head.Size < signed.Size:
		return protocol.Head{}, ErrBehind
	case head.Size == signed.Size:
		return head, nil
	}
	if err := w.keepSigned(head); err != nil {
		return protocol.Head{}, fmt.Errorf("keep the head to be signed: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signed = head
	return head, nil
}

// keepSigned replaces the file whole: the old head or the new one, never none.
func (w *Witness) keepSigned(head protocol.Head) error {
	text, err := protocol.Indented(head)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(w.dir, fileSigned), text)
}
