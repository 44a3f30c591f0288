package match

import (
	"encoding/binary"
	"io"

	"coulisse/protocol"
)

// Reader reads an upload, strictly and as a stream: whoever sent it, what comes
// out is ascending, free of repetitions and of the announced number, or an error.
// Its memory is one block, whatever the upload's size. It is not for concurrent use.
type Reader struct {
	frame  *frameReader
	buf    []byte
	block  []byte // records of buf that are checked
	at     int    // of the next record in block
	unread uint32 // records that are not in a block yet
	hi, lo uint64 // the last record of the block before
	first  bool
	digest protocol.Hash
	err    error // io.EOF once all was read and the trailer fits
}

// NewReader reads the header. An upload of more than limit records is refused
// before memory is taken for it; [MaxRecords] always holds.
func NewReader(r io.Reader, limit uint32) (*Reader, error) {
	frame, err := openFrame(r, kindUpload, limit)
	if err != nil {
		return nil, err
	}
	size := min(blockSize, int64(frame.header.Count)*int64(recordSize))
	return &Reader{frame: frame, buf: make([]byte, size), unread: frame.header.Count, first: true}, nil
}

// Header returns the upload's header.
func (r *Reader) Header() Header { return r.frame.header }

// Digest returns the digest of an upload that was read to its [io.EOF].
func (r *Reader) Digest() protocol.Hash { return r.digest }

// Next returns the next pseudonym. Only its [io.EOF] says that the upload was
// whole; what came before another error must not be used.
func (r *Reader) Next() (p Pseudonym, err error) {
	if r.at == len(r.block) && !r.refill() {
		return p, r.err
	}
	copy(p[:], r.block[r.at:])
	r.at += recordSize
	return p, nil
}

// Drain reads to the end, for the checks alone.
func (r *Reader) Drain() error {
	for r.refill() {
	}
	if r.err != io.EOF {
		return r.err
	}
	return nil
}

// taken is the number of records that were taken out.
func (r *Reader) taken() uint32 {
	return r.frame.header.Count - r.unread - uint32((len(r.block)-r.at)/recordSize)
}

// refill reads and checks the next block. At the end, or at a fault, it reports
// false, and r.err says which.
func (r *Reader) refill() bool {
	r.block, r.at = nil, 0
	if r.err != nil {
		return false
	}
	if r.unread == 0 {
		if r.digest, r.err = r.frame.end(); r.err == nil {
			r.err = io.EOF
		}
		return false
	}
	n := min(int(r.unread), len(r.buf)/recordSize)
	block := r.buf[:n*recordSize]
	if r.err = r.frame.read(block); r.err != nil {
		return false
	}
	if r.err = r.checkOrder(block); r.err != nil {
		return false
	}
	r.unread -= uint32(n)
	r.block = block
	return true
}

func (r *Reader) checkOrder(block []byte) error {
	hi, lo := r.hi, r.lo
	for ; len(block) >= recordSize; block = block[recordSize:] {
		h, l := binary.BigEndian.Uint64(block), binary.BigEndian.Uint64(block[8:])
		if h < hi || h == hi && l <= lo {
			switch {
			case r.first && h == 0 && l == 0: // the lowest record follows nothing
			case h == hi && l == lo:
				return ErrDuplicate
			default:
				return ErrOrder
			}
		}
		r.first = false
		hi, lo = h, l
	}
	r.hi, r.lo = hi, lo
	return nil
}
