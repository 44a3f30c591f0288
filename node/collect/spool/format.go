package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// A segment begins with a header of sixteen bytes: the format's name, and the
// segment's number, big-endian. Records follow: a length and a checksum of four
// bytes each, big-endian, then the record.
const (
	magic      = "clsspl/1"
	headerSize = 16
	frameSize  = 8
)

// errTorn: what follows is no whole record.
var errTorn = errors.New("a record is cut or damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func header(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(magic), number)
}

// checksum covers the segment's number, so that what a disk returns of another
// file is no record, and the length, so that no run of zeros is one.
func checksum(number uint64, record []byte) uint32 {
	var prefix [12]byte
	binary.BigEndian.PutUint64(prefix[:], number)
	binary.BigEndian.PutUint32(prefix[8:], uint32(len(record)))
	return crc32.Update(crc32.Checksum(prefix[:], castagnoli), castagnoli, record)
}

func appendRecord(to []byte, number uint64, record []byte) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(len(record)))
	to = binary.BigEndian.AppendUint32(to, checksum(number, record))
	return append(to, record...)
}

// readHeader reports whether a segment of this number begins here.
func readHeader(r io.Reader, number uint64) (bool, error) {
	var b [headerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return false, short(err)
	}
	return string(b[:]) == string(header(number)), nil
}

// readRecord reads the next record: io.EOF after the last one, errTorn if it is
// not whole.
func readRecord(r io.Reader, number uint64) ([]byte, error) {
	var frame [frameSize]byte
	if _, err := io.ReadFull(r, frame[:]); err == io.EOF {
		return nil, err
	} else if err != nil {
		return nil, torn(err)
	}
	length := binary.BigEndian.Uint32(frame[:])
	if length > MaxRecord {
		return nil, errTorn
	}
	record := make([]byte, length)
	if _, err := io.ReadFull(r, record); err != nil {
		return nil, torn(err)
	}
	if checksum(number, record) != binary.BigEndian.Uint32(frame[4:]) {
		return nil, errTorn
	}
	return record, nil
}

// torn tells a file that ends from a disk that does not read.
func torn(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errTorn
	}
	return err
}

// short is nil for a file that is too short to be a segment.
func short(err error) error {
	if torn(err) == errTorn {
		return nil
	}
	return err
}
