package match

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"coulisse/protocol"
)

const oddCount = 1723 // a step that does not fill its last byte

// labelFile labels the given records of an upload.
func labelFile(t testing.TB, count uint32, upload protocol.Hash, set ...uint32) []byte {
	t.Helper()
	h := newWorld(nil).header(0)
	h.Count = count
	var b bytes.Buffer
	w, err := newLabelWriter(&b, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range set {
		w.set(i)
	}
	if _, err := w.end(upload); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func rowFile(t testing.TB, count uint32, upload protocol.Hash, rows func(i int) Row) []byte {
	t.Helper()
	h := newWorld(nil).header(0)
	h.Count = count
	var b bytes.Buffer
	w, err := newFrameWriter(&b, kindRows, h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int(count) {
		row := rows(i)
		for shift := 56; shift >= 0; shift -= 8 {
			w.put(byte(row >> shift))
		}
	}
	w.put(upload[:]...)
	if _, err := w.end(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// resealed gives altered bytes a fitting trailer.
func resealed(raw []byte, alter func([]byte) []byte) []byte {
	b := alter(slices.Clone(raw[:len(raw)-sha256.Size]))
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func readLabels(raw []byte) (set []uint32, upload protocol.Hash, err error) {
	l, err := NewLabelReader(iotest.HalfReader(bytes.NewReader(raw)), MaxRecords)
	if err != nil {
		return nil, upload, err
	}
	for i := uint32(0); ; i++ {
		bit, err := l.Next()
		if err == io.EOF {
			return set, l.Upload(), nil
		}
		if err != nil {
			return nil, upload, err
		}
		if bit {
			set = append(set, i)
		}
	}
}

func TestLabelsAreReadBack(t *testing.T) {
	digest := protocol.HashOf([]byte("upload"))
	const long = 1246975 // a step with more bits than a block, and a part of a byte
	for _, count := range []uint32{MinRecords, oddCount, long} {
		for _, set := range [][]uint32{nil, {0}, {count - 1}, {0, 1, 7, 8, 9, count - 2, count - 1}} {
			got, upload, err := readLabels(labelFile(t, count, digest, set...))
			if err != nil || upload != digest || !slices.Equal(got, set) {
				t.Errorf("%d records: %v %v, want %v", count, got, err, set)
			}
		}
	}
}

func TestMalformedLabelsAreRefused(t *testing.T) {
	good := labelFile(t, oddCount, protocol.Hash{1}, 3)
	last := headerLength + (oddCount+7)/8 - 1
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"empty":        {nil, ErrTruncated},
		"an upload":    {plainUpload(MinRecords, nil), ErrFormat},
		"version":      {resealed(good, func(b []byte) []byte { b[9] = 0; return b }), ErrVersion},
		"true size":    {resealed(good, setCount(oddCount-1)), ErrStep},
		"unused bits":  {resealed(good, func(b []byte) []byte { b[last] |= 0x80; return b }), ErrUnusedBits},
		"cut bits":     {good[:last], ErrTruncated},
		"no upload":    {good[:last+1], ErrTruncated},
		"no trailer":   {good[:last+33], ErrTruncated},
		"more":         {append(slices.Clone(good), 0), ErrTrailing},
		"flipped":      {resealed(good, func(b []byte) []byte { return b })[:len(good)-1], ErrTruncated},
		"other digest": {slices.Concat(good[:last-9], []byte{^good[last-9]}, good[last-8:]), ErrDigest},
	} {
		if _, _, err := readLabels(c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := NewLabelReader(bytes.NewReader(good), oddCount-1); !errors.Is(err, ErrTooMany) {
		t.Errorf("over the limit: %v", err)
	}
}

func TestLabelledRefusesAnotherUpload(t *testing.T) {
	digest := protocol.HashOf([]byte("upload"))
	labels := labelFile(t, MinRecords, digest, 4, 6)
	even := func(i int) Row {
		if i%2 == 1 {
			return noRow
		}
		return Row(i)
	}
	rows := rowFile(t, MinRecords, digest, even)
	for name, c := range map[string]struct {
		labels, rows []byte
		want         error
	}{
		"fitting":       {labels, rows, nil},
		"other digest":  {labels, rowFile(t, MinRecords, protocol.Hash{9}, even), ErrMismatch},
		"other length":  {labels, rowFile(t, oddCount, digest, even), ErrMismatch},
		"padding":       {labelFile(t, MinRecords, digest, 5), rows, ErrMismatch},
		"cut labels":    {labels[:len(labels)-1], rows, ErrTruncated},
		"cut rows":      {labels, rows[:len(rows)-1], ErrTruncated},
		"broken rows":   {labels, slices.Concat(rows[:len(rows)-1], []byte{^rows[len(rows)-1]}), ErrDigest},
		"broken labels": {slices.Concat(labels[:len(labels)-1], []byte{^labels[len(labels)-1]}), rows, ErrDigest},
	} {
		lr, err := NewLabelReader(bytes.NewReader(c.labels), MaxRecords)
		if err != nil {
			t.Fatal(err)
		}
		rr, err := NewRowReader(bytes.NewReader(c.rows))
		if err != nil {
			t.Fatal(err)
		}
		var got []Row
		err = Labelled(lr, rr, func(r Row) error { got = append(got, r); return nil })
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && !slices.Equal(got, []Row{4, 6}) {
			t.Errorf("%s: rows %v", name, got)
		}
	}
	stop := errors.New("stop")
	lr, _ := NewLabelReader(bytes.NewReader(labels), MaxRecords)
	rr, _ := NewRowReader(bytes.NewReader(rows))
	if err := Labelled(lr, rr, func(Row) error { return stop }); err != stop {
		t.Error(err)
	}
}

func FuzzUpload(f *testing.F) {
	f.Add(plainUpload(MinRecords, nil))
	f.Add(plainUpload(MinRecords, setCount(1218)))
	f.Add(plainUpload(MinRecords, nil)[:headerLength])
	f.Add([]byte("coulisseU\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := NewReader(bytes.NewReader(raw), 4096)
		if err != nil {
			return
		}
		n, last := uint32(0), Pseudonym{}
		for {
			p, err := r.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				return
			}
			if n > 0 && bytes.Compare(last[:], p[:]) >= 0 {
				t.Fatal("accepted records out of order")
			}
			n, last = n+1, p
		}
		// What is accepted is exactly what its header says, and nothing besides.
		if n != r.Header().Count || r.Header().UploadSize() != int64(len(raw)) {
			t.Fatalf("%d records and %d bytes for %+v", n, len(raw), r.Header())
		}
	})
}

func FuzzLabels(f *testing.F) {
	f.Add(labelFile(f, MinRecords, protocol.Hash{1}, 0, 1023))
	f.Add(labelFile(f, oddCount, protocol.Hash{}))
	f.Add(plainUpload(MinRecords, nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, upload, err := readLabels(raw)
		if err != nil {
			return
		}
		r, err := NewLabelReader(bytes.NewReader(raw), MaxRecords)
		if err != nil {
			t.Fatal(err)
		}
		// There is one way to write each label file.
		var again bytes.Buffer
		w, err := newLabelWriter(&again, r.Header())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range set {
			w.set(i)
		}
		if _, err := w.end(upload); err != nil || !bytes.Equal(again.Bytes(), raw) {
			t.Fatal("accepted a second form of the same labels", err)
		}
	})
}

func FuzzRows(f *testing.F) {
	f.Add(rowFile(f, MinRecords, protocol.Hash{1}, func(i int) Row { return Row(i) }))
	f.Add(rowFile(f, 1218, protocol.Hash{}, func(int) Row { return noRow }))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := NewRowReader(bytes.NewReader(raw))
		if err != nil {
			return
		}
		n := int64(0)
		for {
			_, _, err := r.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				return
			}
			n++
		}
		if r.Header().size(kindRows) != int64(len(raw)) || n != int64(r.Header().Count) {
			t.Fatal("accepted another length than its header says")
		}
	})
}
