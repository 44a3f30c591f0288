package ristretto

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"coulisse/crypto/internal/curve"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
	gtank "github.com/gtank/ristretto255"
	"pgregory.net/rapid"
)

type vectors struct {
	Multiples []string
	Invalid   map[string][]string
	Map       []struct{ Input, Output string }
}

func rfc9496(t *testing.T) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/rfc9496-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMultiplesOfGenerator(t *testing.T) {
	var sum, base Point
	sum.Zero()
	base.ScalarBaseMult(small(1))
	for i, want := range rfc9496(t).Multiples {
		if got := sum.Encode(); hex.EncodeToString(got[:]) != want {
			t.Errorf("B[%d] = %x, want %s", i, got, want)
		}
		var decoded, byScalar Point
		if err := decoded.Decode(unhex(t, want)); err != nil {
			t.Fatalf("B[%d]: %v", i, err)
		}
		byScalar.ScalarBaseMult(small(uint16(i)))
		if !decoded.Equal(&sum) || !byScalar.Equal(&sum) || decoded.IsIdentity() != (i == 0) {
			t.Errorf("B[%d]: decoding, addition and multiplication disagree", i)
		}
		if e := decoded.Encode(); hex.EncodeToString(e[:]) != want {
			t.Errorf("B[%d] does not survive a round trip", i)
		}
		sum.Add(&sum, &base)
	}
}

func TestInvalidEncodings(t *testing.T) {
	for why, list := range rfc9496(t).Invalid {
		for _, encoding := range list {
			if new(Point).Decode(unhex(t, encoding)) != ErrEncoding {
				t.Errorf("%s: accepted %s", why, encoding)
			}
		}
	}
	for _, n := range []int{0, 31, 33} {
		if new(Point).Decode(make([]byte, n)) != ErrEncoding {
			t.Errorf("accepted %d bytes", n)
		}
	}
}

func TestOneWayMap(t *testing.T) {
	for i, v := range rfc9496(t).Map {
		var p Point
		got := p.SetUniform((*[64]byte)(unhex(t, v.Input))).Encode()
		if hex.EncodeToString(got[:]) != v.Output {
			t.Errorf("map %d = %x, want %s", i, got, v.Output)
		}
	}
}

// gtank/ristretto255 shares no arithmetic with this package.
func TestAgainstIndependentImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uniform := bytesOf(t, 64)
		scalar := bytesOf(t, 64)
		want := gtank.NewElement().FromUniformBytes(uniform)
		var p Point
		p.SetUniform((*[64]byte)(uniform))
		sameElement(t, "map", &p, want)

		s := must(new(Scalar).SetUniformBytes(scalar))
		want.ScalarMult(gtank.NewScalar().FromUniformBytes(scalar), want)
		p.ScalarMult(s, &p)
		sameElement(t, "multiplication", &p, want)

		var halfOut [1][Size]byte
		EncodeDoubles([]Point{p}, halfOut[:])
		if double := want.Add(want, want).Encode(nil); !slices.Equal(double, halfOut[0][:]) {
			t.Fatalf("double encodes as %x, want %x", halfOut[0], double)
		}
	})
}

func TestDecodeAgainstIndependentImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := bytesOf(t, 32)
		b[31] &= rapid.SampledFrom([]byte{0x7f, 0xff}).Draw(t, "mask")
		b[0] &= rapid.SampledFrom([]byte{0xfe, 0xff}).Draw(t, "mask")
		var p Point
		want := gtank.NewElement()
		err, wantErr := p.Decode(b), want.Decode(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("decoding %x: %v, independent: %v", b, err, wantErr)
		}
		if err == nil {
			sameElement(t, "decoding", &p, want)
		}
	})
}

// Every curve point of a coset, that is the sum with any 4-torsion point,
// stands for the same element.
func TestCosets(t *testing.T) {
	torsion := fourTorsion(t)
	for range 20 {
		p := random()
		want := p.Encode()
		wantDouble := new(Point).Double(&p).Encode()
		for i := range torsion {
			var q Point
			q.Add(&p, &torsion[i])
			var out [1][Size]byte
			EncodeDoubles([]Point{q}, out[:])
			if q.Encode() != want || out[0] != wantDouble || !q.Equal(&p) || q.IsIdentity() || !torsion[i].IsIdentity() {
				t.Fatalf("torsion point %d changes the element", i)
			}
		}
	}
}

func TestEncodeDoublesOfIdentity(t *testing.T) {
	points := []Point{random(), *new(Point).Zero(), random()}
	points = append(points, fourTorsion(t)...)
	out := make([][Size]byte, len(points))
	EncodeDoubles(points, out)
	for i := range points {
		if want := new(Point).Double(&points[i]).Encode(); out[i] != want {
			t.Errorf("point %d: double encodes as %x, want %x", i, out[i], want)
		}
	}
	EncodeDoubles(nil, nil)
}

func TestTable(t *testing.T) {
	base := random()
	table := NewTable(&base)
	for name, s := range scalars() {
		var got, want Point
		table.Mult(&got, s)
		if want.ScalarMult(s, &base); !got.Equal(&want) {
			t.Errorf("%s: table and multiplication disagree", name)
		}
	}
}

func TestSums(t *testing.T) {
	for _, n := range []int{0, 1, 2, fewTerms - 1, fewTerms, fewTerms + 1, 300, 1000} {
		points := make([]*Point, n)
		library := make([]*edwards25519.Point, n)
		weights := make([]Scalar, n)
		pointers := make([]*Scalar, n)
		edge := scalars()
		for i := range points {
			p := random()
			points[i] = &p
			library[i] = &p.e
			weights[i] = *randomScalar()
			pointers[i] = &weights[i]
		}
		i := 0
		for _, s := range edge {
			if i < n {
				weights[i] = *s
			}
			i++
		}
		if n > 2 {
			points[2].Zero()
		}
		var got, want Point
		NewTerms(points).SumVarTime(&got, weights)
		want.e.VarTimeMultiScalarMult(pointers, library)
		if !got.Equal(&want) {
			t.Errorf("%d terms: buckets and interleaving disagree", n)
		}
	}
}

func TestSignedDigits(t *testing.T) {
	for bits := 2; bits <= 12; bits++ {
		for name, s := range scalars() {
			sum, base := new(Scalar), small(1<<bits)
			digits := signedDigits([]Scalar{*s}, bits)
			for w := len(digits) - 1; w >= 0; w-- {
				digit := digits[w][0]
				if digit > 1<<(bits-1) || digit < -1<<(bits-1) {
					t.Fatalf("%d bits, %s: digit %d", bits, name, digit)
				}
				sum.Multiply(sum, base)
				if digit >= 0 {
					sum.Add(sum, small(uint16(digit)))
				} else {
					sum.Subtract(sum, small(uint16(-digit)))
				}
			}
			if sum.Equal(s) != 1 {
				t.Errorf("%d bits: digits of %s do not add up", bits, name)
			}
		}
	}
}

func BenchmarkSum4096(b *testing.B) {
	const n = 4096
	points := make([]*Point, n)
	weights := make([]Scalar, n)
	for i := range points {
		p := random()
		points[i], weights[i] = &p, *randomScalar()
	}
	var p Point
	for b.Loop() {
		NewTerms(points).SumVarTime(&p, weights)
	}
	perPoint(b, n)
}

func BenchmarkEncode(b *testing.B) {
	p := random()
	for b.Loop() {
		p.Encode()
	}
}

func BenchmarkEncodeDoubles256(b *testing.B) {
	points := make([]Point, 256)
	for i := range points {
		points[i] = random()
	}
	out := make([][Size]byte, len(points))
	for b.Loop() {
		EncodeDoubles(points, out)
	}
	perPoint(b, len(points))
}

func BenchmarkDecode(b *testing.B) {
	p := random()
	e := p.Encode()
	for b.Loop() {
		if err := p.Decode(e[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMap(b *testing.B) {
	var p Point
	var uniform [64]byte
	rand.Read(uniform[:])
	for b.Loop() {
		p.SetUniform(&uniform)
	}
}

func BenchmarkTable(b *testing.B) {
	p := random()
	t := NewTable(&p)
	s := randomScalar()
	for b.Loop() {
		t.Mult(&p, s)
	}
}

func BenchmarkScalarBaseMult(b *testing.B) {
	var p Point
	s := randomScalar()
	for b.Loop() {
		p.ScalarBaseMult(s)
	}
}

func BenchmarkScalarMult(b *testing.B) {
	p := random()
	s := randomScalar()
	for b.Loop() {
		p.ScalarMult(s, &p)
	}
}

func perPoint(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/point")
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func sameElement(t failer, what string, p *Point, want *gtank.Element) {
	t.Helper()
	if got := p.Encode(); !slices.Equal(got[:], want.Encode(nil)) {
		t.Fatalf("%s gives %x, independent: %x", what, got, want.Encode(nil))
	}
}

func bytesOf(t *rapid.T, n int) []byte {
	return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, fmt.Sprint(n, " bytes"))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func small(v uint16) *Scalar {
	var b [Size]byte
	b[0], b[1] = byte(v), byte(v>>8)
	return must(new(Scalar).SetCanonicalBytes(b[:]))
}

func randomScalar() *Scalar {
	var b [64]byte
	rand.Read(b[:])
	return must(new(Scalar).SetUniformBytes(b[:]))
}

func random() (p Point) {
	return *p.ScalarBaseMult(randomScalar())
}

// scalars are those that stress a recoding: ends, runs of ones, and the
// digits that carry.
func scalars() map[string]*Scalar {
	m := map[string]*Scalar{
		"zero": small(0), "one": small(1), "eight": small(8), "nine": small(9), "minus one": new(Scalar).Negate(small(1)),
		"half": new(Scalar).Invert(small(2)),
	}
	for _, digit := range []byte{0x07, 0x08, 0x0f, 0x77, 0x88, 0x80, 0xf8, 0xff} {
		var b [Size]byte
		for i := range b {
			b[i] = digit
		}
		b[31] &= 0x0f
		m[fmt.Sprintf("all %02x", digit)] = must(new(Scalar).SetCanonicalBytes(b[:]))
	}
	for i := range 20 {
		m[fmt.Sprint("random ", i)] = randomScalar()
	}
	return m
}

// fourTorsion returns (0,1), (0,-1), (i,0) and (-i,0).
func fourTorsion(t *testing.T) []Point {
	t.Helper()
	zero := new(field.Element)
	minusI := new(field.Element).Negate(sqrtM1)
	var points []Point
	for _, xy := range [][2]*field.Element{{zero, curve.One}, {zero, minusOne}, {sqrtM1, zero}, {minusI, zero}} {
		var p Point
		(&curve.Coordinates{X: *xy[0], Y: *xy[1], Z: *curve.One}).Point(&p.e)
		points = append(points, p)
	}
	return points
}
