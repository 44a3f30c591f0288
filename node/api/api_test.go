package api

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coulisse/node"
	"coulisse/node/draft"
	"coulisse/node/importer"
	"coulisse/node/segment"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/record"
	"coulisse/protocol/refusal"
)

// socketDir is short: a socket's path is bounded.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestListen(t *testing.T) {
	dir := socketDir(t)
	path := filepath.Join(dir, "node.sock")
	// What a node leaves that was killed.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	live, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode: %v, %v", info.Mode(), err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrRunning) {
		t.Errorf("a second node: %v", err)
	}
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first node was disturbed: %v", err)
	} else {
		conn.Close()
	}
	live.Close()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("the socket leaves %v, %v", entries, err)
	}
	far := filepath.Join(dir, strings.Repeat("d", 90))
	if err := os.Mkdir(far, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = Listen(filepath.Join(far, "node.sock"))
	if words := refusal.Words(err); err == nil || !strings.Contains(words.FR, "trop long") {
		t.Errorf("a long path: %v", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	_, err := NewClient(filepath.Join(socketDir(t), "node.sock")).Status(t.Context())
	if words := refusal.Words(err); !strings.Contains(words.EN, "not running") || !strings.Contains(words.FR, "n'est pas en marche") {
		t.Errorf("%v", err)
	}
}

// Every error has a reason, a status, and sentences in both languages.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		err    error
		reason Reason
		status int
		exit   int
	}{
		{fmt.Errorf("%w: x", errRequest), ReasonUsage, 400, 2},
		{&http.MaxBytesError{Limit: 1}, ReasonUsage, 413, 2},
		{fmt.Errorf("a: %w", node.ErrDenied), ReasonDenied, 403, 1},
		{refusal.ErrUnavailable, ReasonUnavailable, 503, 1},
		{fmt.Errorf("%w: %w", record.ErrRecord, protocol.ErrMalformed), ReasonUnproven, 502, 1},
		{federation.ErrNotFound, ReasonNotFound, 404, 1},
		{segment.ErrNotFound, ReasonNotFound, 404, 1},
		{protocol.Refuse(draft.ErrDraft, "fr", "en"), ReasonMalformed, 422, 1},
		{fmt.Errorf("x: %w", protocol.ErrMalformed), ReasonMalformed, 422, 1},
		{&importer.Problem{Code: importer.ProblemEmpty, Text: protocol.Text{FR: "vide", EN: "empty"}}, ReasonFile, 422, 1},
		{warehouse.ErrAlreadyImported, ReasonTaken, 409, 1},
		{federation.ErrRefused, ReasonRefused, 409, 1},
		{errors.New("the disk is gone"), ReasonFailed, 500, 1},
		{errors.New(strings.Repeat("é", 5000)), ReasonFailed, 500, 1},
	} {
		fault, status := faultOf(c.err)
		if fault.Reason != c.reason || status != c.status || fault.ExitCode() != c.exit || fault.Text.Check() != nil {
			t.Errorf("%v is %s, %d, exit %d: %v", c.err, fault.Reason, status, fault.ExitCode(), fault.Text.Check())
		}
	}
}

// A stream that fails in the middle says so in its last line; one that fails
// at once is an error answer.
func TestLines(t *testing.T) {
	late := httptest.NewRecorder()
	l := &lines{w: late}
	if err := l.tell(Count{"a", 1}); err != nil {
		t.Fatal(err)
	}
	l.end(federation.ErrRefused)
	if late.Code != 200 || strings.Count(late.Body.String(), "\n") != 2 || !strings.Contains(late.Body.String(), `"reason":"refused"`) {
		t.Errorf("%d: %s", late.Code, late.Body)
	}
	early := httptest.NewRecorder()
	(&lines{w: early}).end(federation.ErrRefused)
	if early.Code != 409 {
		t.Errorf("%d: %s", early.Code, early.Body)
	}
}

func TestImportOptions(t *testing.T) {
	r := &http.Request{URL: &url.URL{RawQuery: "kind=people&file=a.csv&region=CA&as_of=2026-03-01T10:00:00Z&mapping=%7B%22columns%22%3A%7B%22email%22%3A%22Adresse+2%22%2C%22phone%22%3A%22-%22%7D%7D"}}
	o, err := importOptions(r)
	if err != nil || o.Kind != importer.People || o.AsOf.Year() != 2026 || o.Mapping.Columns["email"] != "Adresse 2" || o.Mapping.Columns["phone"] != "-" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := importOptions(&http.Request{URL: &url.URL{RawQuery: "as_of=yesterday"}}); !errors.Is(err, errRequest) {
		t.Errorf("as_of: %v", err)
	}
	var problem *importer.Problem
	if _, err := importOptions(&http.Request{URL: &url.URL{RawQuery: "mapping=%7Bcolums%3A+%7B%7D%7D"}}); !errors.As(err, &problem) {
		t.Errorf("mapping: %v", err)
	}
}

// FuzzRequests: whatever is sent, a request decodes to what encodes to itself,
// or is refused.
func FuzzRequests(f *testing.F) {
	f.Add([]byte(`{"for":"ab","votes":[{"choice":"for","proposal":"dfb462535ed8"}]}`))
	f.Add([]byte(`{"definition":{"name":"a-b","title":{"fr":"a","en":"b"}},"pooled":true}`))
	f.Add([]byte(`{"title":{"fr":"a","en":"b"},"reason":{"fr":"a","en":"b"},"effect":{"expel":"ab"},"closes":1}`))
	f.Add([]byte(`{"round":"00","operation":"match","sources":[],"rule":{"any":[{"source":"x"}]},"recipients":null,"noise":{"total":1,"sources":1}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		same[Ballot](t, raw)
		same[SaveSegment](t, raw)
		same[protocol.Proposal](t, raw)
		same[protocol.Manifest](t, raw)
	})
}

func same[T any](t *testing.T, raw []byte) {
	v, err := decodeRequest[T](raw)
	if err != nil {
		if !errors.Is(err, errRequest) {
			t.Fatal(err)
		}
		return
	}
	var first, second bytes.Buffer
	if err := encode(&first, v); err != nil {
		t.Fatal(err)
	}
	again, err := decodeRequest[T](first.Bytes())
	if err == nil {
		err = encode(&second, again)
	}
	if err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatalf("%s, then %s: %v", first.Bytes(), second.Bytes(), err)
	}
}
