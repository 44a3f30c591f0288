package rpc

import (
	"errors"
	"log/slog"
	"testing"

	"coulisse/coordinator/relay"
	"coulisse/protocol"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// What is refused here is refused in both languages, in words of its own.
func TestRefusalsAreWorded(t *testing.T) {
	s := &Service{Config: Config{Logger: slog.New(slog.DiscardHandler)}}
	_, long := s.IssueToken(t.Context(), &wire.IssueTokenRequest{Member: "membre-01", ValidSeconds: 1 << 40})
	_, large := s.Submit(t.Context(), &wire.SubmitRequest{Document: make([]byte, protocol.MaxDocument+1)})
	for name, c := range map[string]struct{ err, kind error }{
		"a token for years":       {long, protocol.ErrMalformed},
		"a large document":        {large, protocol.ErrMalformed},
		"before the log":          {s.Follow(&wire.FollowRequest{From: -1}, nil), protocol.ErrMalformed},
		"an upload that stops":    {s.refuse(errSilent), refusal.ErrUnavailable},
		"a member somewhere else": {s.refuse(relay.ErrReplaced), nil},
	} {
		told := refusal.FromStatus(c.err)
		if c.kind != nil && !errors.Is(told, c.kind) {
			t.Errorf("%s: %v", name, told)
		}
		words := refusal.Words(told)
		if words == refusal.Words(c.kind) || words == refusal.Words(errors.New("")) || words.FR == words.EN {
			t.Errorf("%s has no words of its own: %+v", name, words)
		}
	}
	if words := refusal.Words(refusal.FromStatus(long)); words.FR != "Un jeton d'inscription vaut d'une seconde à 7\u00a0jours." {
		t.Error(words.FR)
	}
	for _, m := range meanings {
		if words := refusal.Words(refusal.FromStatus(s.refuse(m.err))); words == refusal.Words(errors.New("")) {
			t.Errorf("%v has no words", m.err)
		}
	}
}
