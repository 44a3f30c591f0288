package rounds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// Received lists the rounds of which this node has labels.
func (r *Rounds) Received() ([]protocol.RoundID, error) {
	paths, err := filepath.Glob(filepath.Join(r.cfg.Dir, "*"+fileLabels))
	received := make([]protocol.RoundID, len(paths))
	for i, path := range paths {
		received[i] = protocol.RoundID(strings.TrimSuffix(filepath.Base(path), fileLabels))
	}
	return received, err
}

// Naming lists the rounds whose labels name a person, in the order of their
// numbers.
func (r *Rounds) Naming(id warehouse.PersonID) ([]protocol.RoundID, error) {
	received, err := r.Received()
	if err != nil {
		return nil, err
	}
	var naming []protocol.RoundID
	for _, round := range received {
		people, err := r.Labelled(round)
		if errors.Is(err, ErrNoLabels) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look for a person among labels: %w", err)
		}
		if _, found := slices.BinarySearch(people, id); found {
			naming = append(naming, round)
		}
	}
	return naming, nil
}

// Erase takes a person out of every file of labels. Whoever erases people has
// taken them out of the warehouse before: labels that come later do not name
// them.
func (r *Rounds) Erase(id warehouse.PersonID) error {
	r.labelling.Lock()
	defer r.labelling.Unlock()
	naming, err := r.Naming(id)
	if err != nil {
		return err
	}
	for _, round := range naming {
		people, err := r.Labelled(round)
		if err != nil {
			return err
		}
		others := slices.DeleteFunc(people, func(p warehouse.PersonID) bool { return p == id })
		if err := r.keepLabels(round, others); err != nil {
			return fmt.Errorf("take a person out of labels: %w", err)
		}
	}
	return nil
}

// Sent lists the rounds of which this node has made an upload and that have not
// ended: the pseudonym of somebody who is erased now may be in it, here and at
// the matcher, until the round ends and both delete it. It waits for an upload
// that is being made.
func (r *Rounds) Sent(ctx context.Context) ([]protocol.RoundID, error) {
	select {
	case r.making <- struct{}{}:
		defer func() { <-r.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	kept, err := r.kept()
	if err != nil {
		return nil, err
	}
	var sent []protocol.RoundID
	for _, round := range kept {
		entries, err := os.ReadDir(r.folder(round))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look for uploads: %w", err)
		}
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != fileKey }) {
			sent = append(sent, round)
		}
	}
	return sent, nil
}
