package match

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"coulisse/protocol"
)

// The files of a match round share one frame. All numbers are big-endian.
//
//	8  "coulisse"
//	1  kind: U upload, R rows, L labels
//	1  version
//	16 round
//	32 manifest hash
//	4  count of records
//	1  length of the source's name, then the name
//	…  the body, whose length follows from kind and count
//	32 SHA-256 of all before it
//
// The trailer's value is the file's digest, which the upload notice announces.
const (
	magic      = "coulisse"
	version    = 1
	kindUpload = 'U'
	kindRows   = 'R'
	kindLabels = 'L'

	fixedHeader = len(magic) + 2 + 16 + sha256.Size + 4 + 1
	maxHeader   = fixedHeader + 40

	recordSize = len(Pseudonym{})
	rowSize    = 8
	blockSize  = 64 << 10 // a multiple of both record sizes
)

// Header says what a file belongs to. Count is its padded number of records.
type Header struct {
	Round    protocol.RoundID
	Manifest protocol.Hash
	Source   protocol.SourceName
	Count    uint32
}

// bodySize is the number of bytes between header and trailer.
func bodySize(kind byte, count uint32) int64 {
	switch n := int64(count); kind {
	case kindUpload:
		return n * int64(recordSize)
	case kindRows:
		return n*rowSize + sha256.Size
	default:
		return (n+7)/8 + sha256.Size
	}
}

// UploadSize and LabelsSize are the sizes of whole files, in bytes.
func (h Header) UploadSize() int64 { return h.size(kindUpload) }

// LabelsSize is the size of the source's label file.
func (h Header) LabelsSize() int64 { return h.size(kindLabels) }

func (h Header) size(kind byte) int64 {
	return int64(fixedHeader+len(h.Source)) + bodySize(kind, h.Count) + sha256.Size
}

// encode appends the header's bytes.
func (h Header) encode(kind byte) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	round, err := hex.DecodeString(string(h.Round))
	if err != nil {
		return nil, ErrHeader
	}
	b := make([]byte, 0, maxHeader)
	b = append(b, magic...)
	b = append(b, kind, version)
	b = append(b, round...)
	b = append(b, h.Manifest[:]...)
	b = binary.BigEndian.AppendUint32(b, h.Count)
	b = append(b, byte(len(h.Source)))
	return append(b, h.Source...), nil
}

func (h Header) check() error {
	if h.Round.Check() != nil || h.Source.Check() != nil {
		return ErrHeader
	}
	if !isStep(h.Count) {
		return ErrStep
	}
	return nil
}

// frameWriter writes a file of one kind. It keeps the first error, which end returns.
type frameWriter struct {
	w    io.Writer
	sum  hash.Hash
	buf  []byte
	left int64 // of the body
	err  error
}

func newFrameWriter(w io.Writer, kind byte, h Header) (*frameWriter, error) {
	head, err := h.encode(kind)
	if err != nil {
		return nil, err
	}
	f := &frameWriter{w: w, sum: sha256.New(), buf: make([]byte, 0, blockSize), left: bodySize(kind, h.Count)}
	f.buf = append(f.buf, head...)
	return f, nil
}

// put appends bytes to the body.
func (f *frameWriter) put(p ...byte) {
	f.left -= int64(len(p))
	for len(p) > 0 {
		if len(f.buf) == cap(f.buf) {
			f.flush()
		}
		n := min(len(p), cap(f.buf)-len(f.buf))
		f.buf = append(f.buf, p[:n]...)
		p = p[n:]
	}
}

func (f *frameWriter) flush() {
	if f.err == nil {
		f.sum.Write(f.buf)
		_, f.err = f.w.Write(f.buf)
	}
	f.buf = f.buf[:0]
}

// end writes the trailer and returns it.
func (f *frameWriter) end() (digest protocol.Hash, err error) {
	if f.left != 0 {
		panic("match: a file's body does not have the length that its header says")
	}
	f.flush()
	f.sum.Sum(digest[:0])
	if f.err == nil {
		_, f.err = f.w.Write(digest[:])
	}
	return digest, f.err
}

// frameReader reads a file of one kind strictly and in constant memory.
type frameReader struct {
	r      io.Reader
	sum    hash.Hash
	header Header
}

func openFrame(r io.Reader, kind byte, limit uint32) (*frameReader, error) {
	f := &frameReader{r: r, sum: sha256.New()}
	var b [maxHeader]byte
	if err := f.read(b[:fixedHeader]); err != nil {
		return nil, err
	}
	if string(b[:len(magic)]) != magic || b[len(magic)] != kind {
		return nil, ErrFormat
	}
	if b[len(magic)+1] != version {
		return nil, ErrVersion
	}
	name := int(b[fixedHeader-1])
	if name > maxHeader-fixedHeader {
		return nil, ErrHeader
	}
	if err := f.read(b[fixedHeader : fixedHeader+name]); err != nil {
		return nil, err
	}
	at := len(magic) + 2
	f.header.Round = protocol.RoundID(hex.EncodeToString(b[at : at+16]))
	f.header.Manifest = protocol.Hash(b[at+16 : at+48])
	f.header.Count = binary.BigEndian.Uint32(b[at+48:])
	f.header.Source = protocol.SourceName(b[fixedHeader : fixedHeader+name])
	if f.header.Count > min(limit, MaxRecords) {
		return nil, ErrTooMany
	}
	return f, f.header.check()
}

// read fills p with the next bytes of header or body.
func (f *frameReader) read(p []byte) error {
	if err := f.fill(p); err != nil {
		return err
	}
	f.sum.Write(p)
	return nil
}

// fill never takes a short read for the end: a stream may arrive in any pieces.
func (f *frameReader) fill(p []byte) error {
	_, err := io.ReadFull(f.r, p)
	switch err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		return ErrTruncated
	default:
		return fmt.Errorf("read a file of the round: %w", err)
	}
}

// end checks the trailer, and that nothing follows it.
func (f *frameReader) end() (digest protocol.Hash, err error) {
	var trailer protocol.Hash
	if err := f.fill(trailer[:]); err != nil {
		return digest, err
	}
	if f.sum.Sum(digest[:0]); digest != trailer {
		return digest, ErrDigest
	}
	var one [1]byte
	switch _, err := io.ReadFull(f.r, one[:]); err {
	case io.EOF:
		return digest, nil
	case nil:
		return digest, ErrTrailing
	default:
		return digest, fmt.Errorf("read a file of the round: %w", err)
	}
}

// endOver reads the digest of the upload that a file goes with, then its own end.
// It returns [io.EOF] if all of it fits.
func (f *frameReader) endOver(upload *protocol.Hash) error {
	if err := f.read(upload[:]); err != nil {
		return err
	}
	if _, err := f.end(); err != nil {
		return err
	}
	return io.EOF
}
