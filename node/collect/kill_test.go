package collect

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/node/warehouse"

	"go.uber.org/goleak"
)

// The test's own program is also the intake that is killed: with this variable
// it serves a folder until it dies.
const servedFolder = "COLLECT_TEST_SERVES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(servedFolder); dir != "" {
		fmt.Fprintln(os.Stderr, serveUntilKilled(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func serveUntilKilled(dir string) error {
	ctx := context.Background()
	w, err := warehouse.Open(ctx, warehouse.Config{Path: filepath.Join(dir, "warehouse.duckdb")})
	if err != nil {
		return err
	}
	s, err := ParseSettings([]byte("sites: [www.theatre.example]\nrequests_per_second: 100000\nlisten: 127.0.0.1:0"))
	if err != nil {
		return err
	}
	c, err := New(ctx, Config{Settings: s, Dir: filepath.Join(dir, "spool"), Warehouse: w, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return c.Run(ctx, listener)
}

// Killed at any moment under load, the intake loses no event that it has
// acknowledged, and stores none twice: COLLECT_KILLS says how often.
func TestKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds")
	}
	kills := 7
	if n, err := strconv.Atoi(os.Getenv("COLLECT_KILLS")); err == nil {
		kills = n
	}
	dir := t.TempDir()
	var acknowledged sync.Map
	sent := 0
	for range kills {
		sent += killOnce(t, dir, &acknowledged)
	}
	h := start(t, dir, Config{Settings: settings(t, "")})
	h.drained(t)
	h.stop()

	db, err := sql.Open("duckdb", filepath.Join(dir, "warehouse.duckdb")+"?access_mode=READ_ONLY")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT event::VARCHAR, count(*) FROM events GROUP BY event`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]bool{}
	for rows.Next() {
		var id string
		var n int
		if err := rows.Scan(&id, &n); err != nil {
			t.Fatal(err)
		}
		if stored[id] = true; n != 1 {
			t.Errorf("an event is stored %d times", n)
		}
	}
	answered, lost := 0, 0
	acknowledged.Range(func(id, _ any) bool {
		answered++
		if !stored[id.(string)] {
			lost++
		}
		return true
	})
	if lost > 0 || answered == 0 {
		t.Errorf("%d of %d acknowledged events are lost", lost, answered)
	}
	t.Logf("%d kills: %d events sent, %d acknowledged, %d stored", kills, sent, answered, len(stored))
}

// killOnce puts an intake under load and kills it at a random moment. Senders
// send each event until it is answered or the intake is dead, and now and then
// once more, as browsers do.
func killOnce(t *testing.T, dir string, acknowledged *sync.Map) (sent int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), servedFolder+"="+dir)
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err, child.Wait())
	}
	url := "http://" + strings.TrimSpace(address) + "/e"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	// mu guards sent.
	var mu sync.Mutex
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for {
				ids, body := someEvents()
				mu.Lock()
				sent += len(ids)
				mu.Unlock()
				for range 1 + rand.IntN(2) {
					if !postOnce(client, url, body) {
						return
					}
				}
				for _, id := range ids {
					acknowledged.Store(id, true)
				}
			}
		})
	}
	<-time.After(time.Duration(rand.IntN(1400)) * time.Millisecond)
	_ = child.Process.Kill()
	senders.Wait()
	_ = child.Wait()
	return sent
}

// someEvents is a request with their identifiers as the warehouse writes them.
func someEvents() (ids []string, body string) {
	events := make([]string, 1+rand.IntN(3))
	now := time.Now().UnixMilli()
	for i := range events {
		id := draw()
		b := readID(id)
		ids = append(ids, fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
		events[i] = fmt.Sprintf(`{"id":"%s","at":%d,"type":"page_view","url":"https://www.theatre.example/"}`, id, now)
	}
	return ids, fmt.Sprintf(`{"v":1,"sent":%d,"visitor":"%s","consent":{"analytics":"granted"},"events":[%s]}`, now, draw(), strings.Join(events, ","))
}

func postOnce(client *http.Client, url, body string) bool {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return false
	}
	request.Header.Set("User-Agent", firefox)
	request.Header.Set("Content-Type", "text/plain")
	reply, err := client.Do(request)
	if err != nil {
		return false
	}
	reply.Body.Close()
	return reply.StatusCode == http.StatusAccepted
}

// drained waits until the spool is empty: all that was acknowledged is stored.
func (h *house) drained(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); h.Figures().Waiting > 0; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the spool is not taken in: %+v", h.Figures())
		}
	}
}
