// Package bench measures what the project promises: `make bench` runs it, prints
// a table of ratios with the reference next to each, and writes the same to
// docs/performance.md with the machine and the commit.
//
// Every figure is of real work: the shipped binary in separate processes, or the
// packages that it is made of in a process of their own, on the public that
// package load invents, held against the exact answer. What is left out, and only
// there, is the public-key cryptography behind the tokens, which has its own rows.
// All of it is in the tests, which do nothing unless BENCH names the file to write.
package bench
