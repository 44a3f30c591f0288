package oprf

import (
	"syscall"
	"testing"
	"time"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"
)

// BenchmarkPerson measures the CPU time of all parties for one person: batches
// of 4,096 with 2 of 3 stewards, from raw input to token, wire encodings
// included. Beside it in the same run is circl's verifiable OPRF as it comes:
// a client who asks two servers. Its Finalize unblinds each server's answer;
// the second ratio leaves one unblinding out of its account.
func BenchmarkPerson(b *testing.B) {
	var k scalar
	randomScalar(&k)
	key, shares := split(b, &k, 2, Set{1, 2, 3})
	servers := []*oprf.PrivateKey{circlKey(b, &k), circlKey(b, &k)}
	inputs := numbered(MaxBatch)
	set := Set{1, 3}

	var ours, theirs, unblinding time.Duration
	for b.Loop() {
		ours += cpu(b, func() { person(b, key, shares, set, inputs) })
		var state *oprf.FinalizeData
		var answer *oprf.Evaluation
		theirs += cpu(b, func() { state, answer = circlPerson(b, servers, inputs) })
		unblinding += cpu(b, func() {
			_, err := oprf.NewClient(oprf.SuiteRistretto255).Finalize(state, answer)
			noError(b, err)
		})
	}
	people := float64(b.N * MaxBatch)
	b.ReportMetric(float64(ours.Microseconds())/people, "µs/person")
	b.ReportMetric(float64(theirs.Microseconds())/people, "circl-µs/person")
	b.ReportMetric(float64(theirs)/float64(ours), "circl/ours")
	b.ReportMetric(float64(theirs-unblinding)/float64(ours), "circl-unblinding-once/ours")
	b.ReportMetric(0, "ns/op")
}

func person(b *testing.B, key *PublicKey, shares map[Index]Share, set Set, inputs [][]byte) {
	blinding, blinded, err := Blind(inputs)
	noError(b, err)
	request := EncodeElements(blinded)
	var partials []Partial
	for _, i := range set {
		asked, err := DecodeElements(request)
		noError(b, err)
		answer, err := Evaluate(key, shares[i], set, asked)
		noError(b, err)
		wire, proof := EncodeElements(answer.Evaluated), answer.Proof.Bytes()

		partial := Partial{Steward: i}
		partial.Evaluated, err = DecodeElements(wire)
		noError(b, err)
		partial.Proof, err = ParseProof(proof[:])
		noError(b, err)
		partials = append(partials, partial)
	}
	_, err = blinding.Finalize(key, set, partials)
	noError(b, err)
}

func circlPerson(b *testing.B, servers []*oprf.PrivateKey, inputs [][]byte) (state *oprf.FinalizeData, received *oprf.Evaluation) {
	var request [][]byte
	for i, sk := range servers {
		client := oprf.NewVerifiableClient(oprf.SuiteRistretto255, sk.Public())
		if i == 0 {
			s, blinded, err := client.Blind(inputs)
			noError(b, err)
			state, request = s, circlEncode(b, blinded.Elements)
		}
		asked := &oprf.EvaluationRequest{Elements: circlDecode(b, request)}
		answer, err := oprf.NewVerifiableServer(oprf.SuiteRistretto255, sk).Evaluate(asked)
		noError(b, err)
		wire := circlEncode(b, answer.Elements)
		proof, err := answer.Proof.MarshalBinary()
		noError(b, err)

		received = &oprf.Evaluation{Elements: circlDecode(b, wire), Proof: new(dleq.Proof)}
		noError(b, received.Proof.UnmarshalBinary(group.Ristretto255, proof))
		_, err = client.Finalize(state, received)
		noError(b, err)
	}
	return state, received
}

func circlEncode(b *testing.B, elements []group.Element) [][]byte {
	list := make([][]byte, len(elements))
	for i, e := range elements {
		encoding, err := e.MarshalBinaryCompress()
		noError(b, err)
		list[i] = encoding
	}
	return list
}

func circlDecode(b *testing.B, list [][]byte) []group.Element {
	elements := make([]group.Element, len(list))
	for i, encoding := range list {
		elements[i] = group.Ristretto255.NewElement()
		noError(b, elements[i].UnmarshalBinary(encoding))
	}
	return elements
}

// The parts of BenchmarkPerson, a person each.

func BenchmarkBlind(b *testing.B) {
	inputs := numbered(MaxBatch)
	perPerson(b, func() {
		_, _, err := Blind(inputs)
		noError(b, err)
	})
}

func BenchmarkDecode(b *testing.B) {
	_, blinded, err := Blind(numbered(MaxBatch))
	noError(b, err)
	wire := EncodeElements(blinded)
	perPerson(b, func() {
		_, err := DecodeElements(wire)
		noError(b, err)
	})
}

func BenchmarkEvaluate(b *testing.B) {
	key, shares := threeOfFive(b)
	_, blinded, err := Blind(numbered(MaxBatch))
	noError(b, err)
	perPerson(b, func() {
		_, err := Evaluate(key, shares[2], Set{2, 3, 5}, blinded)
		noError(b, err)
	})
}

func BenchmarkVerifyPartial(b *testing.B) {
	key, shares := threeOfFive(b)
	_, blinded, err := Blind(numbered(MaxBatch))
	noError(b, err)
	set := Set{2, 3, 5}
	partial, err := Evaluate(key, shares[2], set, blinded)
	noError(b, err)
	perPerson(b, func() { noError(b, VerifyPartial(key, set, blinded, partial)) })
}

func BenchmarkUnblind(b *testing.B) {
	key, shares := threeOfFive(b)
	blinding, blinded, err := Blind(numbered(MaxBatch))
	noError(b, err)
	partials := answers(b, key, shares, Set{2, 3, 5}, blinded)[:2]
	perPerson(b, func() {
		for lo := 0; lo < MaxBatch; lo += block {
			for i, encoding := range blinding.unblind(lo, lo+block, key.table(), partials) {
				finalizeHash(blinding.inputs[lo+i], encoding)
			}
		}
	})
}

func perPerson(b *testing.B, f func()) {
	var total time.Duration
	for b.Loop() {
		total += cpu(b, f)
	}
	b.ReportMetric(float64(total.Nanoseconds())/1e3/float64(b.N*MaxBatch), "cpu-µs/person")
}

// cpu returns the CPU time of f over all threads. The wall clock would count
// waiting for others on the machine, and hide that a batch uses all processors.
func cpu(t tester, f func()) time.Duration {
	t.Helper()
	before := usage(t)
	f()
	return usage(t) - before
}

func usage(t tester) time.Duration {
	t.Helper()
	var r syscall.Rusage
	noError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
