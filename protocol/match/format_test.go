package match

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"coulisse/protocol"
)

// plainUpload writes an upload by hand, from the page and not from the Writer:
// count records, ascending from 1, changed by alter before the trailer.
func plainUpload(count int, alter func(b []byte) []byte) []byte {
	b := []byte("coulisseU\x01")
	round, err := hex.DecodeString(string(roundID))
	if err != nil {
		panic(err)
	}
	b = append(b, round...)
	b = append(b, manifestHash[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(count))
	b = append(b, 8)
	b = append(b, "source-0"...)
	for i := range count {
		b = binary.BigEndian.AppendUint64(b, uint64(i/3)) // some differ in their lower half only
		b = binary.BigEndian.AppendUint64(b, uint64(i+1))
	}
	if alter != nil {
		b = alter(b)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

const headerLength = 8 + 2 + 16 + 32 + 4 + 1 + len("source-0")

func setCount(n uint32) func([]byte) []byte {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[58:], n)
		return b
	}
}

func TestUploadIsReadBack(t *testing.T) {
	const count = 5793 // a step, and more than a block
	raw := plainUpload(count, nil)
	for name, cut := range map[string]io.Reader{
		"whole": bytes.NewReader(raw),
		"bytes": iotest.OneByteReader(bytes.NewReader(raw)),
		"half":  iotest.HalfReader(bytes.NewReader(raw)),
		"eof":   iotest.DataErrReader(bytes.NewReader(raw)),
	} {
		r, err := NewReader(cut, count)
		if err != nil {
			t.Fatal(name, err)
		}
		want := Header{Round: roundID, Manifest: manifestHash, Source: "source-0", Count: count}
		if r.Header() != want || want.UploadSize() != int64(len(raw)) {
			t.Errorf("%s: header %+v, size %d of %d", name, r.Header(), want.UploadSize(), len(raw))
		}
		n := 0
		for {
			p, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(name, err)
			}
			if got := binary.BigEndian.Uint64(p[8:]); got != uint64(n+1) {
				t.Fatalf("%s: record %d is %d", name, n, got)
			}
			n++
		}
		if digest := r.Digest(); n != count || !bytes.Equal(digest[:], raw[len(raw)-32:]) {
			t.Errorf("%s: %d records, digest %s", name, n, digest)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: after the end: %v", name, err)
		}
	}
}

func TestMalformedUploadsAreRefused(t *testing.T) {
	const count = 5793
	record := func(i int) int { return headerLength + 16*i }
	swap := func(i, j int) func([]byte) []byte {
		return func(b []byte) []byte {
			x, y := slices.Clone(b[record(i):record(i+1)]), slices.Clone(b[record(j):record(j+1)])
			copy(b[record(i):], y)
			copy(b[record(j):], x)
			return b
		}
	}
	repeat := func(i int) func([]byte) []byte {
		return func(b []byte) []byte {
			copy(b[record(i):], b[record(i-1):record(i)])
			return b
		}
	}
	put := func(at int, c byte) func([]byte) []byte {
		return func(b []byte) []byte {
			b[at] = c
			return b
		}
	}
	good := plainUpload(count, nil)
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"empty":                       {nil, ErrTruncated},
		"half a header":               {good[:40], ErrTruncated},
		"no name":                     {good[:headerLength-4], ErrTruncated},
		"not ours":                    {plainUpload(count, put(0, 'C')), ErrFormat},
		"a label file":                {plainUpload(count, put(8, 'L')), ErrFormat},
		"version 2":                   {plainUpload(count, put(9, 2)), ErrVersion},
		"long name":                   {plainUpload(count, put(62, 41)), ErrHeader},
		"empty name":                  {plainUpload(count, put(62, 0)), ErrHeader},
		"capital name":                {plainUpload(count, put(63, 'S')), ErrHeader},
		"true size":                   {plainUpload(count-1, nil), ErrStep},
		"no records":                  {plainUpload(0, nil), ErrStep},
		"too many":                    {plainUpload(6889, nil), ErrTooMany},
		"far too many":                {plainUpload(count, setCount(1<<31)), ErrTooMany},
		"fewer than said":             {plainUpload(count-1, setCount(count)), ErrTruncated},
		"cut in a record":             {good[:record(900)+5], ErrTruncated},
		"cut before the trailer":      {good[:len(good)-32], ErrTruncated},
		"cut in the trailer":          {good[:len(good)-1], ErrTruncated},
		"one byte more":               {append(slices.Clone(good), 0), ErrTrailing},
		"twice":                       {append(slices.Clone(good), good...), ErrTrailing},
		"out of order":                {plainUpload(count, swap(100, 2000)), ErrOrder},
		"neighbours out of order":     {plainUpload(count, swap(3, 4)), ErrOrder},
		"out of order between blocks": {plainUpload(count, swap(4095, 4096)), ErrOrder},
		"repeated":                    {plainUpload(count, repeat(1)), ErrDuplicate},
		"repeated between blocks":     {plainUpload(count, repeat(4096)), ErrDuplicate},
		"another manifest":            {slices.Concat(good[:30], []byte{^good[30]}, good[31:]), ErrDigest},
		"a flipped bit":               {slices.Concat(good[:len(good)-33], []byte{good[len(good)-33] ^ 0x40}, good[len(good)-32:]), ErrDigest},
		"a bad trailer":               {slices.Concat(good[:len(good)-1], []byte{^good[len(good)-1]}), ErrDigest},
	} {
		r, err := NewReader(iotest.HalfReader(bytes.NewReader(c.raw)), count)
		if err == nil {
			err = r.Drain()
		}
		if !errors.Is(err, c.want) || !errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if length := c.want == ErrTooMany || c.want == ErrTruncated || c.want == ErrTrailing; errors.Is(err, ErrLength) != length {
			t.Errorf("%s: errors.Is(%v, ErrLength) is not %v", name, err, length)
		}
	}
}

// The lowest and the highest pseudonyms are like any other.
func TestExtremePseudonyms(t *testing.T) {
	extreme := func(b []byte) []byte {
		copy(b[headerLength:], make([]byte, 16))
		copy(b[len(b)-16:], bytes.Repeat([]byte{255}, 16))
		return b
	}
	raw := plainUpload(MinRecords, extreme)
	other := bytes.Replace(slices.Clone(raw[:len(raw)-32]), []byte("source-0"), []byte("source-1"), 1)
	sum := sha256.Sum256(other)
	other = append(other, sum[:]...)
	w := newWorld(nil, nil)
	p, err := Compile(all(source(0), source(1)), w.sources)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := Merge(context.Background(), p, []Input{{Upload: reader(t, raw)}, {Upload: reader(t, other)}})
	if err != nil || uint64(outcome.Total) != MinRecords {
		t.Errorf("%d of %d match: %v", uint64(outcome.Total), MinRecords, err)
	}
	zeros := plainUpload(MinRecords, func(b []byte) []byte {
		copy(b[headerLength:], make([]byte, 32))
		return b
	})
	if err := reader(t, zeros).Drain(); !errors.Is(err, ErrDuplicate) {
		t.Errorf("two lowest pseudonyms: %v", err)
	}
}

func TestReadErrorsAreNotEnds(t *testing.T) {
	broken := errors.New("the network broke")
	raw := plainUpload(MinRecords, nil)
	for _, n := range []int{0, 20, headerLength, len(raw) / 2, len(raw) - 32, len(raw)} {
		r, err := NewReader(io.MultiReader(bytes.NewReader(raw[:n]), iotest.ErrReader(broken)), MaxRecords)
		if err == nil {
			err = r.Drain()
		}
		if !errors.Is(err, broken) || errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestGolden pins the three formats byte for byte: the digests are those of the
// same files written by a few lines of Python. A change here breaks every node
// that is not upgraded at the same time.
func TestGolden(t *testing.T) {
	h := Header{Round: roundID, Manifest: protocol.Hash(ascending(1, 32)), Source: "maison-des-arts", Count: MinRecords}
	const common = "00112233445566778899aabbccddeeff" +
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20" +
		"00000400" + "0f6d6169736f6e2d6465732d61727473"
	var upload, rows, labels bytes.Buffer
	out, err := newOutput(h, &upload, &rows)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(MinRecords) {
		row := Row(i)
		if i%2 == 1 {
			row = noRow
		}
		if err := out.put(record{i, ^i, row}); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := out.end()
	if err != nil {
		t.Fatal(err)
	}
	lw, err := newLabelWriter(&labels, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, bit := range []uint32{0, 3, 8, 1023} {
		lw.set(bit)
	}
	if _, err := lw.end(digest); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw         []byte
		start, hash string
	}{
		"upload": {
			upload.Bytes(),
			"636f756c697373655501" + common + "0000000000000000ffffffffffffffff" + "0000000000000001fffffffffffffffe",
			"f9211b0e8a49ca918db0642e17d8f11a83234d6594e39d86b00b2fae79546608",
		},
		"rows": {
			rows.Bytes(),
			"636f756c697373655201" + common + "0000000000000000ffffffffffffffff" + "0000000000000002",
			"26a480e303d3f9bf0d92c76023e8869d69d16f6f5ed8c9c5148e77b00e6e1c27",
		},
		"labels": {
			labels.Bytes(),
			"636f756c697373654c01" + common + "0901" + "000000",
			"b5855ab8470f3b12832c320b2199f18aba32b0a4ef21b8b59144ab02373477d6",
		},
	} {
		sum := sha256.Sum256(c.raw)
		if got := hex.EncodeToString(c.raw[:len(c.start)/2]); got != c.start {
			t.Errorf("%s begins %s, want %s", name, got, c.start)
		}
		if got := hex.EncodeToString(sum[:]); got != c.hash {
			t.Errorf("%s has the digest %s, want %s", name, got, c.hash)
		}
	}
}
