// Package torture runs a federation on a bad network and bad machines, and
// judges what its members were told. Replicas are child processes that are
// killed, frozen, upgraded and given wrong clocks; a proxy stands before each of them,
// and between every two, and delays, cuts up, drops and holds back what
// passes. Members meanwhile propose and vote through a node's own client and
// witness.
//
// It is all tests: `go test ./deploy/torture` is a short version, and `make
// torture` goes on for TORTURE_TIME. It tests the guarantees of protocol.md
// section 6 and of coordinator/consensus/DESIGN.md; it does not test matching,
// which package rehearsal does.
package torture
