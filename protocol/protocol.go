// Package protocol is the contract of Coulisse: who the parties are, what they
// sign, and the rules that any of them can check alone.
package protocol
