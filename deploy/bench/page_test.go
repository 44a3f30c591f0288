package bench

import (
	"fmt"
	"math"
	"strings"

	"coulisse/protocol/match"
)

// table is a Markdown table whose columns are aligned, so that it reads as text.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

func (t table) String() string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for n, row := range t {
		for i, cell := range row {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+1))
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, w := range widths {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

func seconds(v float64) string { return fmt.Sprintf("%.2f s", v) }
func mib(bytes int64) string   { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
func mb(bytes int64) string    { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
func times(v float64) string   { return fmt.Sprintf("%.1f×", v) }

// ratios is the table of what was promised.
func (r results) ratios() string {
	m, c := median(r.rounds), r.country()
	pairBytes := 2 * int64(match.PaddedCount(million)) * 16
	t := table{{"work", "reference", "here", "ratio", "promised"}}
	t.row("a person's token, all parties' CPU, 2 of 3 stewards, proofs checked", fmt.Sprintf("%.0f µs, circl's verifiable OPRF as it comes", r.tokens.circl),
		fmt.Sprintf("%.0f µs", r.tokens.ours), times(r.tokens.circl/r.tokens.ours), "3×, goal 4×")
	t.row("match of 1 M × 1 M, wall, median of rounds", seconds(npsiWall)+", the fastest peer, insecure", seconds(m.wall.Seconds()), times(npsiWall/m.wall.Seconds()), "under 1 s")
	t.row("the same, the quickest round", "the same", seconds(quickest(r.rounds).wall.Seconds()), times(npsiWall/quickest(r.rounds).wall.Seconds()), "")
	t.row("the same, CPU of all processes", seconds(npsiCPU)+", the fastest peer", seconds(m.cpu().Seconds()), times(npsiCPU/m.cpu().Seconds()), "")
	t.row("the same, against a secure peer, wall", seconds(kkrtWall)+", kkrt", seconds(m.wall.Seconds()), times(kkrtWall/m.wall.Seconds()), "")
	t.row("the same, bytes uploaded", fmt.Sprintf("%.0f MB, the fastest peer; %.0f MB, kkrt", npsiMB, kkrtMB), mb(pairBytes), times(npsiMB*1e6/float64(pairBytes)), "")
	t.row("150 members, 31 M rows: matcher, wall", "no peer does it", seconds((c.found.Accept + c.found.Run).Seconds()), "", "under 60 s")
	t.row("150 members, 31 M rows: matcher, memory", "", mib(c.matcher.Peak), "", "under 1024 MiB")
	t.row("150 members, 31 M rows: a member's part, memory at most", "", mib(c.members.Peak), "", "under 300 MiB")
	t.row("a whole node of 1 M people in a round, memory at most", "", mib(nodePeak(r.rounds)), "", "under 300 MiB")
	t.row("a whole node of 3 M people in a round, memory at most", "", mib(nodePeak(r.large)), "", "under 300 MiB")
	t.row("31 M rows: result before noise", fmt.Sprintf("%d, exact", c.exact), fmt.Sprint(c.found.Total), "", "equal")
	return t.String()
}

func (r results) country() country { return r.countries[1] }

func nodePeak(runs []pairRun) (peak int64) {
	for _, run := range runs {
		for _, u := range run.processes {
			if u.Name == "alpha" || u.Name == "beta" {
				peak = max(peak, u.Peak)
			}
		}
	}
	return peak
}

// page is docs/performance.md.
func (r results) page() string {
	var b strings.Builder
	say := func(format string, values ...any) { fmt.Fprintf(&b, format+"\n", values...) }
	m := r.machine
	say("# Performance\n\nThis page is written by `make bench`, which takes some ten minutes and changes nothing else. Every figure on it is of one run.\n")
	say("%s, commit %s, %s; %s, %d cores, %s, Linux %s. Load of the machine as it began, over 1, 5 and 15 minutes: %s. Wall times hold", m.Day, m.Commit, m.Go, m.CPU, m.Cores, m.Memory, m.Kernel, m.Load)
	say("for a machine that does nothing else, that is for a load near zero; CPU, bytes and memory hold anywhere.\n")
	say("%s", r.ratios())
	say("The references for matching are of `optable/match`, measured beforehand on a machine like this one: two cores, loopback, a tenth in")
	say("common. `npsi` sends plain salted hashes and calls itself insecure; `kkrt` is its secure mode. They answer two parties, in the clear, and")
	say("hold no vote, budget, log or noise. circl is measured here, in the same run.\n")
	r.member.sayTokenising(say)
	r.sayPair(say)
	r.sayCountry(say)
	r.sayLimits(say)
	return b.String()
}

func (r results) sayPair(say func(string, ...any)) {
	m := median(r.rounds)
	say("## Two members of a million\n\nThe shipped binary, a process a party, on loopback: three replicas, two members and a third steward. The people are imported; the")
	say("tokens are in the cache. The clock runs from the initiator's `run` to the published result, and the second member's labels follow.")
	say("This is the median of %d rounds in a row; the quickest took %.2f s, and the one before them, just after every process had", len(r.rounds), quickest(r.rounds).wall.Seconds())
	say("started, %.2f s.\n", r.first.wall.Seconds())
	t := table{{"process", "CPU", "memory at most", "read", "written"}}
	for _, u := range m.processes {
		t.row(u.Name, seconds(u.CPU.Seconds()), mib(u.Peak), mb(u.Read), mb(u.Written))
	}
	t.row("all", seconds(m.cpu().Seconds()), "", "", "")
	say("%s", t.String())
	l := median(r.large)
	say("The same with a member of three million and one of a third of a million took %.2f s, %.2f s of CPU in all, and %s at most in the",
		l.wall.Seconds(), l.cpu().Seconds(), mib(nodePeak(r.large)))
	say("larger node's process.\n")
	say("Read and written are all bytes that the process moved, files and sockets together: a member reads its tokens and writes its upload")
	say("twice, once to disk and once to the line. Only the uploads cross between parties, %s each.\n", mb(int64(match.PaddedCount(million))*16))
	t = table{{"the round is", "after"}}
	for _, s := range m.stages {
		t.row(s.name, fmt.Sprintf("%.0f ms", float64(s.at.Microseconds())/1000))
	}
	say("%s", t.String())
}

func (r results) sayCountry(say func(string, ...any)) {
	say("## A country\n\n150 members from one seed (`coulisse load`; `deploy/load/DESIGN.md` has the model), the largest with three people in ten, five of them")
	say("recipients. Each member's part is a process, and so is the matcher, which takes every upload in, sealed to disk, merges them, and makes")
	say("the labels. What it found is equal to the exact answer, in total, for each member, and for each recipient's labels.\n")
	t := table{{"rows", "of which in two or more", "members: CPU, all", "a row", "memory, the largest", "uploads", "matcher: wall", "CPU", "a row", "memory"}}
	for _, c := range r.countries {
		t.row(grouped(c.rows), grouped(c.found.Total), seconds(c.members.CPU.Seconds()), perRow(c.members.CPU.Seconds(), c.rows), mib(c.members.Peak), mb(c.upload),
			seconds((c.found.Accept + c.found.Run).Seconds()), seconds(c.matcher.CPU.Seconds()), perRow(c.matcher.CPU.Seconds(), c.rows), mib(c.matcher.Peak))
	}
	say("%s", t.String())
	say("The matcher's CPU over rows, each scale linear: a straight line is a linear cost.\n\n```\n%s```\n", r.plot())
}

func perRow(seconds float64, rows int64) string {
	return fmt.Sprintf("%.0f ns", seconds*1e9/float64(rows))
}

func grouped(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s %03d", grouped(n/1000), n%1000)
}

// plot draws the matcher's CPU over the rows, and the straight line through the
// largest.
func (r results) plot() string {
	const width, height = 64, 16
	last := r.countries[len(r.countries)-1]
	most, rows := last.matcher.CPU.Seconds(), float64(last.rows)
	var grid [height + 1][width + 1]rune
	for y := range grid {
		for x := range grid[y] {
			grid[y][x] = ' '
		}
	}
	for x := range width + 1 {
		grid[height-int(math.Round(float64(x)*height/width))][x] = '·'
	}
	for _, c := range r.countries {
		x := int(math.Round(float64(c.rows) / rows * width))
		y := int(math.Round(c.matcher.CPU.Seconds() / most * height))
		grid[height-y][x] = '●'
	}
	var b strings.Builder
	for y, line := range grid {
		label := "        "
		if (height-y)%4 == 0 {
			label = fmt.Sprintf("%5.1f s ", most*float64(height-y)/height)
		}
		b.WriteString(label + "│" + strings.TrimRight(string(line[:]), " ") + "\n")
	}
	b.WriteString("        └" + strings.Repeat("─", width+1) + "\n")
	fmt.Fprintf(&b, "         0%*s\n", width, grouped(last.rows)+" rows")
	return b.String()
}

func (r results) sayLimits(say func(string, ...any)) {
	c, m := r.country(), r.machine
	rows, records := float64(c.rows), float64(c.found.Records)
	say("## Where the rest goes\n\nOne core of this machine hashes %.2f GB/s (SHA-256 in hardware) and copies %.1f GB/s in memory.\n", m.hashing/1e9, m.copying/1e9)
	t := table{{"part", "the least that it could cost", "31 M rows at that", "measured"}}
	// HMAC of a 64-byte token: its block, the padding's, and the outer one.
	t.row("a member's pseudonyms", "three SHA-256 blocks a row", seconds(rows*3*64/m.hashing), "")
	t.row("a member's sort and upload", "a record copied four times, hashed once", seconds(records*16*(4/m.copying+1/m.hashing)), "")
	t.row("members, all of it", "", "", seconds(c.members.CPU.Seconds()))
	t.row("the matcher", "a record hashed twice (taken in, merged), sealed and opened once", seconds(records*16*4/m.hashing), seconds(c.matcher.CPU.Seconds()))
	say("%s", t.String())
	say("What it takes to invent the people, which a node does not do, is not in the members' figures; their tokens are, at 64 bytes of AES each.\n")
	say("**On the line.** An upload is pseudo-random and sorted. The only thing in it that a receiver could guess is the order, log2(n!) bits: of a")
	say("million records of 128 bits, %.1f bits each, %.0f %%. No general compressor finds it. A code of differences would, at the price of one more", orderBits(million), 100*orderBits(million)/128)
	say("format to decode from others: uploads are sent as they are.\n")
	say("## Profiles\n\nThe largest member of 31 million rows, %d people:\n\n```\n%s\n```\n\nThe matcher:\n\n```\n%s\n```", c.largest.People, c.memberProfile, c.matcherProfile)
}

// orderBits is log2(n!)/n.
func orderBits(n float64) float64 {
	lgamma, _ := math.Lgamma(n + 1)
	return lgamma / math.Ln2 / n
}
