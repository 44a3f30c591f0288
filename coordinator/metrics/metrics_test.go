package metrics

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

func TestFigures(t *testing.T) {
	town := federationtest.Found(t, 3)
	m := New(Sources{
		Status: func() consensus.Status {
			return consensus.Status{Role: "leader", Term: 7, Commit: 12, Applied: 11, Free: 2048, NoRoom: true}
		},
		View:    func(fn func(federation.Tx) error) error { return fn(&town.Log) },
		Relayed: func() int64 { return 300 }, Matching: func() int64 { return 4000 },
		SlowestWrite: func() time.Duration { return 1500 * time.Millisecond },
	})
	for _, answer := range []struct {
		label string
		reply *wire.SubmitReply
		err   error
	}{
		{"ballot", &wire.SubmitReply{}, nil},
		{"ballot", &wire.SubmitReply{Already: true}, nil},
		{"ballot", nil, refusal.ToStatus(federation.ErrAlready)},
		{"ballot", nil, refusal.ToStatus(federation.ErrFork)},
		{"ballot", nil, refusal.ToStatus(refusal.NotLeader{})},
		{"ballot", nil, refusal.ToStatus(errors.New("the disk is full"))},
		{"made up", nil, refusal.ToStatus(refusal.ErrUnavailable)},
	} {
		handle := func(context.Context, any) (any, error) { return answer.reply, answer.err }
		if _, err := m.Intercept(t.Context(), &wire.SubmitRequest{Label: answer.label}, nil, handle); err != answer.err {
			t.Fatal(err)
		}
	}
	reply := httptest.NewRecorder()
	m.Handler().ServeHTTP(reply, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(reply.Result().Body)
	if err != nil || reply.Code != 200 {
		t.Fatal(reply.Code, err)
	}
	for _, line := range []string{
		"coulisse_raft_term 7", `coulisse_raft_state{state="leader"} 1`, `coulisse_raft_state{state="follower"} 0`,
		"coulisse_raft_commit_index 12", "coulisse_raft_applied_index 11", "coulisse_log_entries 1",
		`coulisse_rounds{stage="opened"} 0`, "coulisse_relay_bytes 300", "coulisse_disk_free_bytes 2048",
		"coulisse_disk_no_room 1", "coulisse_disk_write_seconds_max 1.5", "coulisse_matcher_bytes 4000",
		`coulisse_submits_total{label="ballot",outcome="accepted"} 1`,
		`coulisse_submits_total{label="ballot",outcome="already"} 2`,
		`coulisse_submits_total{label="ballot",outcome="refused"} 1`,
		`coulisse_submits_total{label="ballot",outcome="not leader"} 1`,
		`coulisse_submits_total{label="ballot",outcome="failed"} 1`,
		`coulisse_submits_total{label="other",outcome="unavailable"} 1`,
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}
