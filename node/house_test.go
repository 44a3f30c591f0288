package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A house collects before it belongs to any federation, and becomes a node when
// it has enrolled.
func TestHouseAlone(t *testing.T) {
	f := newFolder(t)
	if err := os.WriteFile(f.path(FileCollect), []byte("sites: [www.theatre.example]\nlisten: 127.0.0.1:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := OpenHouse(t.Context(), Config{Folder: f, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(context.Background()) }()

	now := time.Now().UnixMilli()
	body := fmt.Sprintf(`{"v":1,"sent":%d,"consent":{"analytics":"granted"},"events":[{"id":"AAAAAAAAAAAAAAAAAAAAAA","at":%[1]d,"type":"page_view","url":"https://www.theatre.example/"}]}`, now)
	request, err := http.NewRequest(http.MethodPost, "http://"+h.Collected().Address+"/e", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/plain")
	request.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusAccepted {
		t.Fatal(reply.Status)
	}
	for deadline := time.Now().Add(5 * time.Second); h.Collected().Stored < 1; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", h.Collected())
		}
	}

	if err := f.replace(fileFederation, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrEnrolled) {
		t.Errorf("enrolled, the house ended with %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// What cannot be used is said at the start, and leaves nothing open.
func TestHouseThatCannotCollect(t *testing.T) {
	f := newFolder(t)
	for _, settings := range []string{"sites: [a.example]\nsight: b", "sites: [a.example]\nlisten: 192.0.2.1:1"} {
		if err := os.WriteFile(f.path(FileCollect), []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenHouse(t.Context(), Config{Folder: f, Logger: slog.New(slog.DiscardHandler)}); err == nil || Words(err).Check() != nil {
			t.Errorf("%q: %v", settings, err)
		}
	}
	if err := os.Remove(f.path(FileCollect)); err != nil {
		t.Fatal(err)
	}
	h, err := OpenHouse(t.Context(), Config{Folder: f, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if h.Collected() != nil {
		t.Error("without settings something is collected")
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}
