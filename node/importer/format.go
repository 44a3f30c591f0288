package importer

import (
	"bytes"
	"errors"
	"io"
)

// Format is how a file holds its rows. It is found in the file's bytes: what a
// file is called says little.
type Format string

// The formats.
const (
	Delimited Format = "delimited" // CSV and TSV, whatever the delimiter
	Workbook  Format = "xlsx"
	JSON      Format = "json" // a line for each object, or a list of them
	Parquet   Format = "parquet"
)

// rows is a pass over the rows of a file. It ends with io.EOF.
type rows interface {
	next() (row, error)
}

// layout is where a file's rows are and what its columns mean.
type layout struct {
	format    Format
	header    header
	delimiter byte   // of delimited text
	sheet     string // of a workbook
	others    []string
	since1904 bool
	// open starts a pass over the rows below the headings.
	open func() (rows, error)
	// close, if not nil, gives back what reading took.
	close func() error
}

// below passes over the rows down to the headings.
func below(t rows, header int64) (rows, error) {
	for {
		r, err := t.next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && r.line > header:
			return nil, fileChanged // they were there a moment ago
		case err != nil:
			return nil, err
		case r.line == header:
			return t, nil
		}
	}
}

// recognise finds out how the file is written.
func (j *job) recognise() (err error) {
	survey := j.source.survey
	j.report.Digest, j.report.Bytes = digestOf(survey.digest), survey.total
	switch head := survey.head; {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		j.layout, err = j.archive()
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return j.compound()
	case bytes.HasPrefix(head, []byte("PAR1")):
		j.layout, err = j.parquet()
	default:
		j.layout, err = j.text()
	}
	if err != nil {
		return err
	}
	j.layout.since1904 = j.layout.since1904 || j.options.Mapping.Since1904
	j.report.describe(j.layout)
	return nil
}

// text recognises delimited text and JSON.
func (j *job) text() (layout, error) {
	e, err := j.source.survey.encoding()
	if said := j.options.Mapping.Encoding; said != "" && (err == nil || errors.Is(err, unknownEncoding)) {
		e, err = said, nil
	}
	if err != nil {
		return layout{}, err
	}
	j.report.Encoding = e
	open := func() (io.Reader, error) {
		file, err := j.again()
		return e.decode(file), err
	}
	sample, err := firstOf(open)
	if err != nil {
		return layout{}, err
	}
	if looksLikeJSON(sample) {
		return j.json(open, sample)
	}
	return findLayout(sample, open, j.options)
}

// firstOf returns the start of a text.
func firstOf(open func() (io.Reader, error)) ([]byte, error) {
	file, err := open()
	if err != nil {
		return nil, err
	}
	sample := make([]byte, sniffSize)
	n, err := io.ReadFull(file, sample)
	switch err {
	case io.EOF:
		return nil, emptyFile
	case nil, io.ErrUnexpectedEOF:
		return sample[:n], nil
	}
	return nil, err
}
