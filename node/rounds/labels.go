package rounds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/match"
)

// ErrNoLabels: this node has received no labels of the round.
var ErrNoLabels = errors.New("this node has no labels of this round: it is not a recipient, or they have not come yet")

// maxLabels bounds a file of labelled people, in bytes.
const maxLabels = 8 * match.MaxRecords

func (r *Rounds) labelsPath(id protocol.RoundID) string {
	return filepath.Join(r.cfg.Dir, string(id)+fileLabels)
}

// collect fetches the labels of this member's recipient sources, keeps the
// people they mark, and says so in the log.
func (r *Rounds) collect(ctx context.Context, round federation.Round, m protocol.Manifest) error {
	for _, name := range m.Recipients {
		if m.Owner(name) != r.self() || r.collected(round.ID, name) {
			continue
		}
		if err := r.collectSource(ctx, round.ID, name); err != nil {
			return fmt.Errorf("collect the labels of %s: %w", name, err)
		}
		if err := author.Post(ctx, r.cfg.Author, protocol.Collected{RoundRef: round.Ref(), Source: name}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rounds) collected(id protocol.RoundID, source protocol.SourceName) (done bool) {
	_ = r.cfg.Author.Witness.View(func(tx federation.Tx) error { // the function never fails
		done = federation.HasCollected(tx, id, source)
		return nil
	})
	return done
}

func (r *Rounds) collectSource(ctx context.Context, id protocol.RoundID, source protocol.SourceName) error {
	rows, err := seal.OpenFile(r.rowsPath(id, source), r.cfg.Identity)
	if err != nil {
		return err
	}
	defer rows.Close()
	rowReader, err := match.NewRowReader(rows)
	if err != nil {
		return err
	}
	labels, done := r.fetch(ctx, id, source)
	defer done()
	labelReader, err := match.NewLabelReader(labels, match.MaxRecords)
	if err != nil {
		return err
	}
	var marked []warehouse.PersonID
	err = match.Labelled(labelReader, rowReader, func(row match.Row) error {
		marked = append(marked, warehouse.PersonID(row))
		return nil
	})
	if err != nil {
		return err
	}
	return r.addLabels(ctx, id, marked)
}

// addLabels adds people to those whom the labels of other sources mark, but for
// those who were erased since the upload.
func (r *Rounds) addLabels(ctx context.Context, id protocol.RoundID, marked []warehouse.PersonID) error {
	r.labelling.Lock()
	defer r.labelling.Unlock()
	marked, err := r.cfg.Warehouse.Present(ctx, marked)
	if err != nil {
		return err
	}
	members, err := r.Labelled(id)
	if err != nil && !errors.Is(err, ErrNoLabels) {
		return err
	}
	members = append(members, marked...)
	slices.Sort(members)
	return r.keepLabels(id, slices.Compact(members))
}

// fetch streams a source's labels. done ends it, and returns once it has.
func (r *Rounds) fetch(ctx context.Context, id protocol.RoundID, source protocol.SourceName) (labels io.Reader, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	reading, writing := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		writing.CloseWithError(r.cfg.Matcher.Collect(ctx, id, source, writing))
	}()
	return reading, func() {
		cancel()
		reading.Close()
		<-ended
	}
}

func (r *Rounds) keepLabels(id protocol.RoundID, members []warehouse.PersonID) error {
	plain := make([]byte, 0, 8*len(members))
	for _, person := range members {
		plain = binary.BigEndian.AppendUint64(plain, uint64(person))
	}
	return seal.WriteFile(r.labelsPath(id), []seal.Recipient{r.cfg.Identity.Recipient()}, plain)
}

// Labelled is the member's own people who belong to a pooled audience,
// ascending; [ErrNoLabels] if the node has not received any labels.
func (r *Rounds) Labelled(id protocol.RoundID) ([]warehouse.PersonID, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	plain, err := seal.ReadFile(r.labelsPath(id), r.cfg.Identity, maxLabels)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoLabels
	}
	if err != nil {
		return nil, err
	}
	members := make([]warehouse.PersonID, 0, len(plain)/8)
	for ; len(plain) >= 8; plain = plain[8:] {
		members = append(members, warehouse.PersonID(binary.BigEndian.Uint64(plain)))
	}
	return members, nil
}

// Forget deletes the labels of a round.
func (r *Rounds) Forget(id protocol.RoundID) error {
	if err := id.Check(); err != nil {
		return err
	}
	return os.Remove(r.labelsPath(id))
}
