package bench

import (
	"fmt"
	"strings"
	"time"
)

func (r tokenised) sayTokenising(say func(string, ...any)) {
	cpu := func(of string) (total time.Duration) {
		for _, u := range r.processes {
			if strings.HasPrefix(u.Name, of) {
				total += u.CPU
			}
		}
		return total
	}
	say("## Tokenising\n\nA member has %s people tokenised by two of three stewards, each party a process, over the real coordinator on loopback: imports", grouped(int64(r.people)))
	say("apart, from the start of its node to the last token. It took %s, %.0f people a second; %.0f %% of the cores' time was idle.\n", r.wall.Round(100*time.Millisecond), float64(r.people)/r.wall.Seconds(), 100*r.idle)
	t := table{{"process", "CPU a person", "read a person", "written a person", "memory at most"}}
	for _, u := range r.processes {
		t.row(u.Name, micros(u.CPU, r.people), perPerson(u.Read, r.people), perPerson(u.Written, r.people), mib(u.Peak))
	}
	t.row("all", micros(cpu(""), r.people), "", "", "")
	say("%s", t.String())
	say("A steward's bytes are those of the line: an element each way. A member's are twice that, and what it writes to its disk: the batch until it is done,")
	say("sealed, and tokens of 64 bytes, once and again at each merge.\n")
	few, many := time.Duration(r.people), time.Duration(largestMember)
	busiest := cpu(r.busiest())
	say("**%s people**, extrapolated: every batch costs the same, so people over people, times %.0f. The member %s of CPU, each of its two stewards %s, everybody %s.", grouped(largestMember), float64(many)/float64(few),
		(cpu("member") / few * many).Round(time.Second), (busiest / few * many).Round(time.Second), (cpu("") / few * many).Round(time.Second))
	say("With machines of two cores for each party, stages overlap: the larger of the member's part and a steward's, over two, %s. All on this one, as measured: %s.",
		(max(cpu("member"), busiest) / few * many / 2).Round(time.Second), (r.wall / few * many).Round(time.Second))
	say("%d tickets in the log; %s on the line to and from each steward.\n", (largestMember+4095)/4096, mb(largestMember*64))
	say("In the middle half of the run `coulisse node status` said %.2f of the time that was left, in the median, and %.2f to %.2f at the extremes.\n", r.estimate, r.low, r.high)
	say("The member:\n\n```\n%s\n```\n\nA steward:\n\n```\n%s\n```\n", r.member, r.steward)
}

func micros(of time.Duration, people int) string {
	return fmt.Sprintf("%.1f µs", float64(of.Nanoseconds())/1e3/float64(people))
}

func perPerson(bytes int64, people int) string {
	return fmt.Sprintf("%.0f B", float64(bytes)/float64(people))
}
