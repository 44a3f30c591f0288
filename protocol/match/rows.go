package match

import (
	"encoding/binary"
	"fmt"
	"io"

	"coulisse/protocol"
)

// A file of rows stays in the node that made the upload. It holds, for each
// record, the number of the row behind it, or all ones for padding; then the
// upload's digest.

// RowReader reads the file of rows that a [Writer] made beside its upload. It is
// not for concurrent use.
type RowReader struct {
	frame  *frameReader
	buf    []byte
	block  []byte
	unread uint32
	upload protocol.Hash
	err    error
}

// NewRowReader reads the header.
func NewRowReader(r io.Reader) (*RowReader, error) {
	frame, err := openFrame(r, kindRows, MaxRecords)
	if err != nil {
		return nil, err
	}
	return &RowReader{frame: frame, buf: make([]byte, min(blockSize, frame.header.Count*rowSize)), unread: frame.header.Count}, nil
}

// Header returns the header, which is that of the upload.
func (r *RowReader) Header() Header { return r.frame.header }

// Next returns the row behind the next record of the upload, and false for
// padding. Only its [io.EOF] says that the file was whole.
func (r *RowReader) Next() (row Row, own bool, err error) {
	if r.err == nil && len(r.block) == 0 {
		r.err = r.refill()
	}
	if r.err != nil {
		return 0, false, r.err
	}
	row = Row(binary.BigEndian.Uint64(r.block))
	r.block = r.block[rowSize:]
	return row, row != noRow, nil
}

func (r *RowReader) refill() error {
	if r.unread == 0 {
		return r.frame.endOver(&r.upload)
	}
	n := min(int(r.unread), len(r.buf)/rowSize)
	block := r.buf[:n*rowSize]
	if err := r.frame.read(block); err != nil {
		return err
	}
	r.unread -= uint32(n)
	r.block = block
	return nil
}

// Labelled calls visit with each of a source's rows for which the rule holds, in
// the order of its upload. What visit was given may be used only once Labelled
// has returned nil: until then the labels may turn out to be cut, or another
// upload's.
func Labelled(labels *LabelReader, rows *RowReader, visit func(Row) error) error {
	if labels.Header() != rows.Header() {
		return fmt.Errorf("%w: labels and rows have different headers", ErrMismatch)
	}
	for {
		bit, err := labels.Next()
		row, own, rowErr := rows.Next()
		switch {
		case err == io.EOF && rowErr == io.EOF:
			if labels.upload != rows.upload {
				return fmt.Errorf("%w: the labels answer another upload than the rows", ErrMismatch)
			}
			return nil
		case err != nil && err != io.EOF:
			return fmt.Errorf("read labels: %w", err)
		case rowErr != nil:
			return fmt.Errorf("read the rows of an upload: %w", rowErr)
		case bit && !own:
			return fmt.Errorf("%w: a label is set on padding, which no rule can satisfy", ErrMismatch)
		case bit:
			if err := visit(row); err != nil {
				return err
			}
		}
	}
}
