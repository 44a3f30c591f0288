// Package importer reads files of people and of ticket sales, as spreadsheets
// and ticketing systems export them, into facts for a sink: the warehouse.
//
// It finds out how a file is written (encoding, delimiter, headings, order of
// dates, sign before cents), turns what it names as a person into identifiers
// by profile norm/1 (section 2 of protocol.md), and counts by reason every row
// that it refuses. It never guesses what a file leaves undecided: it refuses
// and says what to do. It takes all of a file or nothing, in constant memory.
//
// It does not store anything, match persons, or open workbooks. Reports and
// errors hold no identifier and no row, only line numbers and headings.
package importer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"coulisse/node/identity"
)

// Import reads a file into a sink. The error is a [Problem] if the file cannot
// be imported as it is; the report is as complete as the import got.
//
// A reader that cannot seek is copied to a file on disk for the time of the
// import, since it must be read more than once.
func Import(ctx context.Context, r io.Reader, o Options, sink Sink) (Report, error) {
	begun := time.Now()
	j := &job{sink: sink, report: Report{File: o.File, Kind: o.Kind}}
	err := j.run(ctx, r, o)
	j.report.Duration = time.Since(begun)
	return j.report, err
}

// job is one import.
type job struct {
	options     Options
	shared      map[identity.Identifier]bool
	sink        Sink
	source      *source
	layout      layout
	conventions conventions
	report      Report
	read        int64     // bytes of the current pass
	digest      hash.Hash // of the same
}

func (j *job) run(ctx context.Context, r io.Reader, o Options) (err error) {
	if j.options, j.shared, err = o.prepared(); err != nil {
		return err
	}
	j.source, err = openSource(ctx, r, o.SpoolDir, func(done int64) {
		j.options.Progress(Progress{Stage: StageReading, Bytes: done})
	})
	if err != nil {
		return err
	}
	defer j.source.close()
	if err := j.recognise(); err != nil {
		return err
	}
	if err := j.surveyColumns(ctx); err != nil {
		return err
	}
	return j.take(ctx)
}

// recognise finds out how the file is written.
func (j *job) recognise() error {
	survey := j.source.survey
	j.report.Digest, j.report.Bytes = digestOf(survey.digest), survey.total
	e, err := survey.encoding()
	if said := j.options.Mapping.Encoding; said != "" && (err == nil || errors.Is(err, unknownEncoding)) {
		e, err = said, nil
	}
	if err != nil {
		return err
	}
	j.report.Encoding = e
	file, err := j.source.again()
	if err != nil {
		return err
	}
	if j.layout, err = findLayout(file, e, j.options); err != nil {
		return err
	}
	j.report.describe(j.layout)
	return nil
}

// table opens the rows below the headings.
func (j *job) table() (*table, error) {
	file, err := j.source.again()
	if err != nil {
		return nil, err
	}
	j.read, j.digest = 0, sha256.New()
	return j.layout.open(io.TeeReader(file, j))
}

// Write sees the bytes of a pass go by, to count them and to know whether they
// are those of the first pass.
func (j *job) Write(p []byte) (int, error) {
	j.read += int64(len(p))
	return j.digest.Write(p)
}

// tell reports progress, and fails if the import is to stop.
func (j *job) tell(ctx context.Context, stage Stage, rows int64) error {
	j.options.Progress(Progress{stage, j.read, j.report.Bytes, rows, j.report.Refused})
	return ctx.Err()
}

// take makes the last pass, between the sink's Begin and Commit.
func (j *job) take(ctx context.Context) error {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	run := Run{RunID(hex.EncodeToString(id)), j.options.Kind, j.options.File, j.report.Digest}
	j.report.Run = run.ID
	if err := j.sink.Begin(ctx, run); err != nil {
		return fmt.Errorf("beginning the import: %w", err)
	}
	if err := j.rows(ctx); err != nil {
		// The run must end even if it is the context that has ended.
		if abort := j.sink.Abort(context.WithoutCancel(ctx)); abort != nil {
			return errors.Join(err, fmt.Errorf("undoing the import: %w", abort))
		}
		return err
	}
	if err := j.sink.Commit(ctx, j.report); err != nil {
		return fmt.Errorf("completing the import: %w", err)
	}
	return nil
}

// rows hands every row to the sink and checks what all of them came to.
func (j *job) rows(ctx context.Context) error {
	t, err := j.table()
	if err != nil {
		return err
	}
	f := newConverter(j)
	for {
		r, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		f.take(r)
		if f.full() {
			if err := j.tell(ctx, StageImporting, j.report.Rows); err != nil {
				return err
			}
			if err := f.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := f.flush(ctx); err != nil {
		return err
	}
	j.report.finish()
	switch {
	case digestOf(j.digest) != j.report.Digest:
		return fileChanged
	case j.report.Kept == 0:
		return nothingKept
	}
	return j.tell(ctx, StageImporting, j.report.Rows)
}

var (
	fileChanged = problem(ProblemChanged,
		"Le fichier a changé pendant la lecture : rien n'a été importé. Recommencez quand il ne change plus.",
		"The file changed while it was read: nothing was imported. Start again when it no longer changes.")
	noRows = problem(ProblemNoRows,
		"Le fichier a des en-têtes mais aucune ligne de données : exportez-le de nouveau.",
		"The file has headings but no row of data: export it again.")
	nothingKept = problem(ProblemNothingKept,
		"Aucune ligne n'a pu être gardée, donc rien n'a été importé : voyez les raisons dans le rapport.",
		"No row could be kept, so nothing was imported: see the reasons in the report.")
)
