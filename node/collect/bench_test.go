package collect

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIntake is the intake with all that it does, down to the warehouse,
// beside a handler that only appends to a file, under the same load and one
// after the other: events a second, the slowest hundredth of the answers, and
// how much of the bare handler's rate the intake has, by the clock and by the
// processor's time, which others on the machine do not lengthen as much. The
// load generator's own is in both.
func BenchmarkIntake(b *testing.B) {
	for _, events := range []int{1, 5} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			for b.Loop() {
				bare, house := benchBare(b, events), benchHouse(b, events)
				b.ReportMetric(bare.rate, "bare-events/s")
				b.ReportMetric(bare.slow.Seconds()*1000, "bare-p99-ms")
				b.ReportMetric(house.rate, "events/s")
				b.ReportMetric(house.slow.Seconds()*1000, "p99-ms")
				b.ReportMetric(100*house.rate/bare.rate, "%-of-bare")
				b.ReportMetric(100*float64(bare.each)/float64(house.each), "%-by-CPU")
			}
		})
	}
}

const (
	benchFor   = 5 * time.Second
	benchConns = 512
	benchVisit = 20 // requests of one visitor
)

// measured is what a run came to.
type measured struct {
	rate       float64       // events a second
	slow, each time.Duration // 99th percentile of answers, processor's time an event
}

// spent is the processor's time that this process has taken.
func spent(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func benchBare(b *testing.B, events int) measured {
	file, err := os.OpenFile(filepath.Join(b.TempDir(), "bare"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = file.Write(raw)
		}
		if err != nil {
			b.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})}
	go server.Serve(listener)
	defer server.Close()
	before := spent(b)
	m := drive(b, listener.Addr().String(), events)
	m.each = (spent(b) - before) / time.Duration(m.rate*benchFor.Seconds())
	return m
}

func benchHouse(b *testing.B, events int) measured {
	h := start(b, b.TempDir(), Config{Settings: settings(b, ""), Logger: slog.New(slog.DiscardHandler)})
	defer h.stop()
	before := spent(b)
	m := drive(b, strings.TrimPrefix(h.url, "http://"), events)
	begun := time.Now()
	for h.Figures().Stored < h.Figures().Accepted && time.Since(begun) < time.Minute {
		<-time.After(10 * time.Millisecond)
	}
	b.Logf("%d events, the last one in the warehouse %v after the load", h.Figures().Stored, time.Since(begun).Round(time.Millisecond))
	m.each = (spent(b) - before) / time.Duration(h.Figures().Stored)
	return m
}

// drive sends as fast as answers come, over as many connections as a crowd of
// browsers keeps open.
func drive(b *testing.B, address string, events int) measured {
	ctx, cancel := context.WithTimeout(b.Context(), benchFor)
	defer cancel()
	// mu guards all.
	var mu sync.Mutex
	var all []time.Duration
	var conns sync.WaitGroup
	begun := time.Now()
	for range benchConns {
		conns.Go(func() {
			took, err := send(ctx, address, events)
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	conns.Wait()
	elapsed := time.Since(begun)
	if len(all) == 0 {
		b.Fatal("nothing was answered")
	}
	slices.Sort(all)
	return measured{rate: float64(len(all)*events) / elapsed.Seconds(), slow: all[len(all)*99/100]}
}

// send is one connection's client: HTTP written by hand, so that the two cores
// are the server's.
func send(ctx context.Context, address string, events int) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	visitor, since := "", int64(0)
	for ctx.Err() == nil {
		if len(took)%benchVisit == 0 {
			visitor, since = draw(), time.Now().UnixMilli()
		}
		body := benchBody(visitor, since, events)
		begun := time.Now()
		if _, err := fmt.Fprintf(conn, "POST /e HTTP/1.1\r\nHost: mesure.theatre.example\r\nUser-Agent: %s\r\nOrigin: https://www.theatre.example\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", firefox, len(body), body); err != nil {
			return took, err
		}
		reply, err := http.ReadResponse(answers, nil)
		if err != nil {
			return took, err
		}
		reply.Body.Close()
		if reply.StatusCode != http.StatusAccepted {
			return took, fmt.Errorf("answered %s", reply.Status)
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// benchBody is some pages of a visit that began with a campaign.
func benchBody(visitor string, since int64, events int) string {
	var s strings.Builder
	now := time.Now().UnixMilli()
	fmt.Fprintf(&s, `{"v":1,"sent":%d,"visitor":"%s","consent":{"analytics":"granted","advertising":"denied","personalisation":"denied","pooling":"granted","at":%d,"proof":"gcm"},"events":[`, now, visitor, since)
	for i := range events {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"id":"%s","at":%d,"type":"page_view","url":"https://www.theatre.example/saison/spectacle-%d?utm_source=infolettre&utm_medium=email&utm_campaign=automne","title":"Spectacle %d – Théâtre","referrer":"https://www.google.com/","language":"fr-CA"}`, draw(), now-int64(i*1000), i, i)
	}
	s.WriteString("]}")
	return s.String()
}
