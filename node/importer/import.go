// Package importer reads files of people and of ticket sales, as spreadsheets
// and ticketing systems export them, into facts for a sink: the warehouse.
//
// It finds out how a file is written (delimited text in any encoding, a workbook
// of Excel, JSON, Parquet; headings, order of dates, sign before cents), turns what it names as a person into identifiers
// by profile norm/1 (section 2 of protocol.md), and counts by reason every row
// that it refuses. It never guesses what a file leaves undecided: it refuses
// and says what to do. It takes all of a file or nothing, in constant memory.
//
// It does not store anything or match persons. Reports and
// errors hold no identifier and no row, only line numbers and headings.
package importer

import (
	"cmp"
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
	defer func() {
		if j.layout.close != nil {
			err = cmp.Or(err, j.layout.close())
		}
	}()
	if err := j.recognise(); err != nil {
		return err
	}
	if err := j.surveyColumns(ctx); err != nil {
		return err
	}
	return j.take(ctx)
}

// again starts a pass over the file's bytes.
func (j *job) again() (io.Reader, error) {
	file, err := j.source.again()
	if err != nil {
		return nil, err
	}
	j.pass()
	return io.TeeReader(file, j), nil
}

// pass forgets what was counted in the pass before.
func (j *job) pass() { j.read, j.digest = 0, sha256.New() }

// random returns the file for reading at any place, counting what is read for
// the progress.
func (j *job) random() io.ReaderAt { return counted{j.source.random(), j} }

type counted struct {
	io.ReaderAt
	job *job
}

func (c counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.job.read = min(c.job.read+int64(n), c.job.report.Bytes)
	return n, err
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
	run := Run{RunID(hex.EncodeToString(id)), j.options.Kind, j.options.File, j.imported()}
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
	t, err := j.layout.open()
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
	same, err := j.unchanged(ctx)
	switch {
	case err != nil:
		return err
	case !same:
		return fileChanged
	case j.report.Kept == 0:
		return nothingKept
	}
	return j.tell(ctx, StageImporting, j.report.Rows)
}

// imported is what the sink knows the file by: of a workbook, one sheet may be
// taken and later another.
func (j *job) imported() Digest {
	if j.layout.format != Workbook {
		return j.report.Digest
	}
	h := sha256.New()
	io.WriteString(h, string(j.report.Digest)+"\x00"+j.layout.sheet)
	return digestOf(h)
}

// unchanged reports whether the bytes of the last pass were those of the first.
// A file that was not read from front to back is read so once more, unless it
// is our copy.
func (j *job) unchanged(ctx context.Context) (bool, error) {
	if j.layout.format == Workbook || j.layout.format == Parquet {
		if j.source.spool != nil {
			return true, nil
		}
		file, err := j.again()
		if err != nil {
			return false, err
		}
		if err := copyChunks(ctx, io.Discard, file, func(int64) {}); err != nil {
			return false, err
		}
	}
	return digestOf(j.digest) == j.report.Digest, nil
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
