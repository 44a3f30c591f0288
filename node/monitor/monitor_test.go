package monitor

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"coulisse/node"
	"coulisse/node/collect"
	"coulisse/protocol"
)

type fake struct {
	status  node.Status
	trouble error
}

func (f fake) Status(context.Context) (node.Status, error) { return f.status, nil }
func (f fake) Trouble() error                              { return f.trouble }

func ask(t *testing.T, n Node, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(n).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestHealthAndFigures(t *testing.T) {
	f := fake{status: node.Status{Member: "le-phare", Certificate: time.Now().Add(time.Hour)}}
	f.status.Warehouse.People, f.status.Tokens.Done, f.status.Log.Size = 12, 7, 34
	f.status.Collected = &node.Collected{Figures: collect.Figures{Accepted: 56, Waiting: 78, Refused: collect.Refused{Bot: 9}}}
	f.status.Log.At = protocol.At(time.Now().Add(-time.Minute))
	if code, _ := ask(t, f, "/healthz"); code != 200 {
		t.Errorf("healthy: %d", code)
	}
	code, text := ask(t, f, "/metrics")
	for _, line := range []string{"coulisse_node_people 12\n", "coulisse_node_tokens 7\n", "coulisse_node_log_entries 34\n", "coulisse_node_log_age_seconds 6",
		"coulisse_node_events_accepted_total 56\n", "coulisse_node_events_waiting_bytes 78\n", `coulisse_node_events_refused_total{reason="bot"} 9`} {
		if !strings.Contains(text, line) {
			t.Errorf("%d, without %q", code, line)
		}
	}
	if strings.Contains(text, "le-phare") {
		t.Error("the figures name a member")
	}
	f.trouble = errors.New("evidence")
	if code, body := ask(t, f, "/healthz"); code != 503 || strings.Contains(body, "evidence") {
		t.Errorf("in trouble: %d, %s", code, body)
	}
}
