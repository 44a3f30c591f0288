package match

import (
	"io"

	"coulisse/protocol"
)

// A label file answers one upload: a bit for each of its records, in its order,
// the lowest bit of a byte first; then the upload's digest, so that the bits are
// never laid over other records than they were computed for.

// labelWriter takes the positions of the bits that are set, in ascending order.
type labelWriter struct {
	frame *frameWriter
	count uint32
	done  uint32 // whole bytes that were given to frame
	last  byte   // the byte after them
}

func newLabelWriter(w io.Writer, h Header) (*labelWriter, error) {
	frame, err := newFrameWriter(w, kindLabels, h)
	if err != nil {
		return nil, err
	}
	return &labelWriter{frame: frame, count: h.Count}, nil
}

func (l *labelWriter) set(record uint32) {
	l.reach(record / 8)
	l.last |= 1 << (record % 8)
}

// reach writes the bytes before the wanted one.
func (l *labelWriter) reach(octet uint32) {
	for ; l.done < octet; l.done++ {
		l.frame.put(l.last)
		l.last = 0
	}
}

func (l *labelWriter) end(upload protocol.Hash) (protocol.Hash, error) {
	l.reach((l.count + 7) / 8)
	l.frame.put(upload[:]...)
	return l.frame.end()
}

// LabelReader reads a label file, strictly and as a stream. It is not for
// concurrent use.
type LabelReader struct {
	frame  *frameReader
	buf    []byte
	block  []byte
	at     uint32 // the next record
	upload protocol.Hash
	err    error
}

// NewLabelReader reads the header, and refuses labels of more than limit records.
func NewLabelReader(r io.Reader, limit uint32) (*LabelReader, error) {
	frame, err := openFrame(r, kindLabels, limit)
	if err != nil {
		return nil, err
	}
	return &LabelReader{frame: frame, buf: make([]byte, min(blockSize, (frame.header.Count+7)/8))}, nil
}

// Header returns the header, which is that of the upload.
func (l *LabelReader) Header() Header { return l.frame.header }

// Upload returns the digest of the upload that the labels answer, once Next has
// returned [io.EOF].
func (l *LabelReader) Upload() protocol.Hash { return l.upload }

// Next returns whether the rule holds for the next record. Only its [io.EOF]
// says that the file was whole.
func (l *LabelReader) Next() (bool, error) {
	if l.at == l.frame.header.Count && l.err == nil {
		l.err = l.frame.endOver(&l.upload)
	}
	if l.err == nil && len(l.block) == 0 {
		l.err = l.refill()
	}
	if l.err != nil {
		return false, l.err
	}
	bit := l.block[0]>>(l.at%8)&1 == 1
	if l.at++; l.at%8 == 0 {
		l.block = l.block[1:]
	}
	return bit, nil
}

func (l *LabelReader) refill() error {
	count := l.frame.header.Count
	octets := int((count - l.at + 7) / 8)
	block := l.buf[:min(octets, len(l.buf))]
	if err := l.frame.read(block); err != nil {
		return err
	}
	if used := count % 8; used != 0 && octets == len(block) && block[octets-1]>>used != 0 {
		return ErrUnusedBits
	}
	l.block = block
	return nil
}
