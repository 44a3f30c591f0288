package matcher

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/match"
)

// Run merges a round whose uploads are all there, under the manifest whose hash
// they carry, and makes the labels of its recipients. It does so once: asked
// again, it returns the same outcome. The outcome's counts are exact, and are for
// the noise alone.
//
// A rule that one member alone could satisfy is refused with [match.ErrPaddable].
// After [seal.ErrDamaged] the disk has changed an upload: Close the round, and
// the nodes send theirs again.
func (m *Matcher) Run(ctx context.Context, id protocol.RoundID, manifest protocol.Manifest) (match.Outcome, error) {
	outcome, err := m.run(ctx, id, manifest)
	if err != nil {
		return match.Outcome{}, fmt.Errorf("run a match: %w", err)
	}
	return outcome, nil
}

// Prepare makes the labels of a round whose result another replica has published.
func (m *Matcher) Prepare(ctx context.Context, id protocol.RoundID, manifest protocol.Manifest) error {
	_, err := m.Run(ctx, id, manifest)
	return err
}

func (m *Matcher) run(ctx context.Context, id protocol.RoundID, manifest protocol.Manifest) (match.Outcome, error) {
	rd, err := m.complete(id, manifest)
	if err != nil {
		return match.Outcome{}, err
	}
	select {
	case rd.running <- struct{}{}:
		defer func() { <-rd.running }()
	case <-rd.ctx.Done():
		return match.Outcome{}, context.Cause(rd.ctx)
	case <-ctx.Done():
		return match.Outcome{}, context.Cause(ctx)
	}
	if done := m.outcome(rd); done != nil {
		return *done, nil
	}
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(rd.ctx, func() { stop(ErrClosed) })()
	if err := m.memory.wait(waiting, mergingMemory(manifest)); err != nil {
		return match.Outcome{}, err
	}
	defer m.memory.release(mergingMemory(manifest))
	defer m.tidy(rd)
	outcome, err := rd.merge(ctx, manifest)
	if err == nil {
		err = m.keep(rd, outcome)
	}
	if closed := context.Cause(rd.ctx); closed != nil {
		err = closed // whatever it looked like from inside
	}
	return outcome, err
}

// complete returns a round that no upload is missing from.
func (m *Matcher) complete(id protocol.RoundID, manifest protocol.Manifest) (*round, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rd := m.rounds[id]
	var missing []string
	for _, s := range manifest.Sources {
		if rd == nil || rd.spools[s.Name] == nil || !rd.spools[s.Name].accepted {
			missing = append(missing, string(s.Name))
		}
	}
	if rd == nil || len(missing) > 0 {
		return nil, fmt.Errorf("%w from %s", ErrIncomplete, strings.Join(missing, ", "))
	}
	return rd, nil
}

func (m *Matcher) outcome(rd *round) *match.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	return rd.outcome
}

// keep stores an outcome, if it is of the uploads that were accepted.
func (m *Matcher) keep(rd *round, outcome match.Outcome) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range outcome.Sources {
		if rd.spools[s.Source].digest != s.Upload {
			return fmt.Errorf("source %q: %w", s.Source, seal.ErrDamaged)
		}
	}
	rd.outcome = &outcome
	return nil
}

// merge reads all spools side by side. A label file appears once it is whole.
func (rd *round) merge(ctx context.Context, manifest protocol.Manifest) (outcome match.Outcome, err error) {
	program, err := match.Compile(manifest.Rule, manifest.Sources)
	if err != nil {
		return outcome, err
	}
	inputs := make([]match.Input, len(manifest.Sources))
	var labels []*seal.File
	defer func() {
		for _, f := range labels {
			f.Discard()
		}
	}()
	for i, s := range manifest.Sources {
		spool, err := seal.OpenFile(rd.uploadPath(s.Name), rd.identity)
		if err != nil {
			return outcome, err
		}
		defer spool.Close() // only read
		if inputs[i].Upload, err = match.NewReader(rd.guard(ctx, spool), match.MaxRecords); err != nil {
			return outcome, err
		}
		if !slices.Contains(manifest.Recipients, s.Name) {
			continue
		}
		f, err := seal.Create(rd.labelsPath(s.Name), rd.identity.Recipient())
		if err != nil {
			return outcome, err
		}
		inputs[i].Labels, labels = f, append(labels, f)
	}
	if outcome, err = match.Merge(ctx, program, inputs); err != nil {
		return outcome, err
	}
	for _, f := range labels {
		if err := f.Commit(); err != nil {
			return outcome, err
		}
	}
	return outcome, nil
}

// OpenLabels opens a recipient's labels, after the round has run. They may be read
// again as long as the round is open. The caller closes the reader.
func (m *Matcher) OpenLabels(id protocol.RoundID, source protocol.SourceName) (io.ReadCloser, error) {
	rd, err := m.labelled(id, source)
	if err != nil {
		return nil, fmt.Errorf("open labels: %w", err)
	}
	file, err := seal.OpenFile(rd.labelsPath(source), rd.identity)
	if closed := context.Cause(rd.ctx); closed != nil && err != nil {
		err = closed // the file went with the round
	}
	if err != nil {
		return nil, fmt.Errorf("open labels: %w", err)
	}
	return labelFile{rd.guard(context.Background(), file), file}, nil
}

// labelled returns a round that has made the source's labels.
func (m *Matcher) labelled(id protocol.RoundID, source protocol.SourceName) (*round, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rd := m.rounds[id]
	if rd == nil || rd.outcome == nil {
		return nil, ErrNotReady
	}
	for _, s := range rd.outcome.Sources {
		if s.Source == source && !s.Labels.IsZero() {
			return rd, nil
		}
	}
	return nil, ErrNotRecipient
}

type labelFile struct {
	io.Reader
	io.Closer
}
