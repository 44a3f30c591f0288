package checkup

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
)

// finds checks that a report says one thing, in both languages.
func finds(t *testing.T, r Report, g Gravity, words string) {
	t.Helper()
	if len(r) != 1 || r[0].Gravity != g || !strings.Contains(r[0].What.EN+" "+r[0].Do.EN, words) {
		t.Errorf("wanted %q, got %+v", words, r)
		return
	}
	for _, text := range []protocol.Text{r[0].What, r[0].Do} {
		if text.Check() != nil || strings.Contains(text.FR+text.EN, "%!") {
			t.Errorf("%+v", text)
		}
	}
}

func healthy(t *testing.T, r Report) {
	t.Helper()
	if len(r) > 0 {
		t.Errorf("nothing is wrong, it says %+v", r)
	}
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("key.age", 0o600)
	write("card.json", 0o644)
	now := time.Now()
	healthy(t, Folder(dir, now, "card.json"))
	if runtime.GOOS != "windows" {
		finds(t, Folder(dir, now), Danger, "chmod 0600 "+filepath.Join(dir, "card.json"))
		if err := os.Chmod(filepath.Join(dir, "log"), 0o750); err != nil {
			t.Fatal(err)
		}
		finds(t, Folder(dir, now, "card.json"), Danger, "chmod 0700 "+filepath.Join(dir, "log"))
		if err := os.Chmod(filepath.Join(dir, "log"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
		finds(t, Folder(dir, now, "card.json"), Danger, "chmod 0700 "+dir)
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	left := write(".key.age.123.tmp", 0o600)
	healthy(t, Folder(dir, now, "card.json")) // it may be being written
	finds(t, Folder(dir, now.Add(time.Hour), "card.json"), Notice, "interrupted write")
	if err := os.Remove(left); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "away"), filepath.Join(dir, "identity")); err == nil {
		finds(t, Folder(dir, now, "card.json"), Broken, "Put back the disk")
	}
	finds(t, Folder(filepath.Join(dir, "nowhere"), now), Broken, "Check the path")
}

func TestMachine(t *testing.T) {
	healthy(t, space("x", 2*gib, 2*gib))
	finds(t, space("x", gib, 2*gib), Danger, "1.0 GiB free; it takes 2.0")
	finds(t, space("x", gib/8, 2*gib), Broken, "Make room")
	healthy(t, descriptors(1024, 1024))
	finds(t, descriptors(256, 1024), Danger, "LimitNOFILE=1024")
	if runtime.GOOS != "windows" {
		finds(t, Space(t.TempDir(), 1<<62), Broken, "Make room")
		finds(t, Descriptors(1<<62), Danger, "ulimit")
	}
	healthy(t, Space(t.TempDir(), 0))
	healthy(t, Space(filepath.Join(t.TempDir(), "nowhere"), 1<<62)) // Folder tells
}

func TestClock(t *testing.T) {
	asked := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	answered := asked.Add(40 * time.Second) // a slow network is no wrong clock
	for _, same := range []time.Duration{0, 20 * time.Second, 40 * time.Second, 65 * time.Second, -25 * time.Second} {
		healthy(t, Clock("r1", asked.Add(same), asked, answered))
	}
	finds(t, Clock("r1", answered.Add(time.Minute), asked, answered), Danger, "r1 is 1m0s ahead")
	finds(t, Clock("r1", asked.Add(-time.Minute), asked, answered), Danger, "r1 is 1m0s behind")
	finds(t, Clock("r1", asked.Add(-time.Hour), asked, answered), Broken, "NTP")
}

func TestCertificate(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	of, renew := Say("Le certificat", "The certificate"), Say("Refaites-le.", "Make it again.")
	check := func(from, until time.Duration) Report {
		return Certificate(of, &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(until)}, now, 24*time.Hour, renew)
	}
	healthy(t, check(-time.Hour, 48*time.Hour))
	finds(t, check(-time.Hour, 23*time.Hour), Danger, "expires on 2026-11-25")
	finds(t, check(-48*time.Hour, -time.Hour), Broken, "expired on 2026-11-24")
	finds(t, check(time.Hour, 48*time.Hour), Broken, "clock is behind")
}

func TestReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	r1, start := Say("r1", "r1"), Say("Démarrez-la.", "Start it.")
	healthy(t, Reach(t.Context(), r1, address, start))
	l.Close()
	finds(t, Reach(t.Context(), r1, address, start), Broken, "One cannot reach r1 at "+address)
	finds(t, unreached(r1, "x.example.org:1", &net.OpError{Err: &net.DNSError{Err: "no such host"}}, start), Broken, "does not resolve")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	finds(t, Reach(ctx, r1, address, start), Broken, "Start it.")
}

func TestTheGravestComesFirst(t *testing.T) {
	var r Report
	one := Say("Un", "One")
	r.Add(Notice, one, one)
	r.Add(Broken, one, one)
	r.Join(Report{{Danger, one, one}, {Broken, one, one}})
	s := r.Sorted()
	if len(s) != 3 || s[0].Gravity != Broken || s[1].Gravity != Danger || s[2].Gravity != Notice {
		t.Errorf("%+v", s)
	}
	if Report(nil).Sorted() == nil {
		t.Error("an empty report is null in JSON")
	}
}
