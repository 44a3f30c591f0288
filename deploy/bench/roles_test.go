package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coulisse/coordinator/matcher"
	"coulisse/deploy/load"
	"coulisse/protocol"
	"coulisse/protocol/match"
)

// TestMain is this program in its other roles, each a process of its own.
func TestMain(m *testing.M) {
	role, args := os.Getenv("BENCH_ROLE"), strings.Split(os.Getenv("BENCH_ARGS"), "\n")
	roles := map[string]func(job) (report, error){"member": makeUpload, "matcher": matchUploads, "node": serveNode}
	run, ok := roles[role]
	if !ok {
		os.Exit(m.Run())
	}
	var j job
	err := json.Unmarshal([]byte(args[0]), &j)
	if err == nil {
		var out report
		if out, err = run(j); err == nil {
			out.Peak = field(status(), "VmHWM:") << 10
			err = json.NewEncoder(os.Stdout).Encode(out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// report is what a role says of its work, and of what that took: not to start
// the process, which is that of a test, and not to invent the people.
type report struct {
	Result json.RawMessage
	CPU    time.Duration
	Peak   int64 // bytes resident
}

// reportOf is a report of work that began when the process had used so much.
func reportOf(result any, began time.Duration) (r report, err error) {
	r.CPU = cpu() - began
	r.Result, err = json.Marshal(result)
	return r, err
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it has no other caller to refuse
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func status() string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err) // there is no /proc
	}
	return string(text)
}

// job is what a role is given: a population, a folder for its files, and for a
// member its number.
type job struct {
	Rows    int64
	Members int
	Member  int
	Folder  string
	// Receipts are what the members say that they made, for the matcher.
	Receipts []match.Receipt
	Profile  string `json:",omitempty"`
}

const (
	benchRound = protocol.RoundID("00112233445566778899aabbccddeeff")
	benchSeed  = 1
)

var benchManifest = protocol.HashOf([]byte("a manifest that everybody has signed"))

func (j job) population() (*load.Population, error) {
	return load.New(load.Shape{Seed: benchSeed, Rows: j.Rows, Members: j.Members})
}

func (j job) upload(member int) string { return filepath.Join(j.Folder, load.Name(member)+".upload") }

// receives says which members are recipients: five, as the shipped policy
// allows, from the largest to the smallest.
func (j job) receives(member int) bool {
	for i := range 5 {
		if member == i*(j.Members-1)/4 {
			return true
		}
	}
	return false
}

func (j job) manifest() protocol.Manifest {
	m := protocol.Manifest{Round: benchRound, Rule: protocol.Rule{AtLeast: &protocol.AtLeast{T: 2}}}
	for i := range j.Members {
		name := protocol.SourceName(load.Name(i))
		m.Sources = append(m.Sources, protocol.Source{Name: name, Member: protocol.MemberID(name)})
		m.Rule.AtLeast.Of = append(m.Rule.AtLeast.Of, name)
		if j.receives(i) {
			m.Recipients = append(m.Recipients, name)
		}
	}
	return m
}

// benchKey is the key of the round, the same in every process.
func benchKey() (match.TokenKey, error) {
	key, err := match.ParseRoundKey(make([]byte, 32))
	return match.Derive(key, benchManifest).Token, err
}

// makeUpload is what a member's node does for a round: pseudonyms of all its
// tokens, sorted, padded and on disk.
func makeUpload(j job) (report, error) {
	p, err := j.population()
	if err != nil {
		return report{}, err
	}
	key, err := benchKey()
	if err != nil {
		return report{}, err
	}
	upload, err := os.Create(j.upload(j.Member))
	if err != nil {
		return report{}, err
	}
	defer upload.Close()
	people, began := 0, cpu()
	for range p.At(j.Member) {
		people++
	}
	inventing := cpu() - began
	var rows io.Writer
	if j.receives(j.Member) {
		rows = io.Discard
	}
	stop, err := profile(j.Profile)
	if err != nil {
		return report{}, err
	}
	defer stop()
	began = cpu() + inventing // which is done again
	header := match.Header{Round: benchRound, Manifest: benchManifest, Source: protocol.SourceName(load.Name(j.Member))}
	receipt, err := load.NewTokens(benchSeed).Upload(context.Background(), match.WriterConfig{Key: key, Folder: j.Folder, People: people}, header, p.At(j.Member), upload, rows)
	if err = errors.Join(err, upload.Sync()); err != nil {
		return report{}, err
	}
	return reportOf(receipt, began)
}

// matched is what the matcher found, before noise, and how long it took.
type matched struct {
	Total   int64
	Holds   []int64 // of each source
	Labels  []int64 // the bits that each recipient got
	Accept  time.Duration
	Run     time.Duration
	Records int64 // padding included
}

// matchUploads is what the matcher does for a round.
func matchUploads(j job) (report, error) {
	m, err := matcher.Open(matcher.Config{Folder: filepath.Join(j.Folder, "matcher"), Quota: 1 << 40})
	if err != nil {
		return report{}, err
	}
	stop, err := profile(j.Profile)
	if err != nil {
		return report{}, err
	}
	defer stop()
	used := cpu()
	found, err := j.match(m)
	if err = errors.Join(err, m.Close(benchRound)); err != nil {
		return report{}, err
	}
	return reportOf(found, used)
}

func (j job) match(m *matcher.Matcher) (found matched, err error) {
	manifest, began := j.manifest(), time.Now()
	for i, receipt := range j.Receipts {
		a := matcher.Announcement{Round: benchRound, Manifest: benchManifest, Source: manifest.Sources[i].Name, Digest: receipt.Digest}
		if _, err := m.Accept(context.Background(), a, func(int64) (io.Reader, error) { return os.Open(j.upload(i)) }); err != nil {
			return found, err
		}
		found.Records += int64(receipt.Count)
	}
	found.Accept, began = time.Since(began), time.Now()
	outcome, err := m.Run(context.Background(), benchRound, manifest)
	if err != nil {
		return found, err
	}
	found.Run = time.Since(began)
	found.Total = int64(outcome.Total)
	for _, s := range outcome.Sources {
		found.Holds = append(found.Holds, int64(s.Holds))
	}
	for _, name := range manifest.Recipients {
		set, err := countLabels(m, name)
		if err != nil {
			return found, err
		}
		found.Labels = append(found.Labels, set)
	}
	return found, nil
}

// countLabels counts the bits of a recipient, out of the file as it is sent.
func countLabels(m *matcher.Matcher, name protocol.SourceName) (set int64, err error) {
	file, err := m.OpenLabels(benchRound, name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	labels, err := match.NewLabelReader(bufio.NewReader(file), match.MaxRecords)
	if err != nil {
		return 0, err
	}
	for {
		label, err := labels.Next()
		switch {
		case err == io.EOF:
			return set, nil
		case err != nil:
			return 0, err
		case label:
			set++
		}
	}
}
