package steward

import (
	"context"
	"errors"
	"slices"
	"time"

	"coulisse/node/author"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// complainAgain is how long a complaint of silence that was refused rests: this
// node's clock may be ahead of the one that the log goes by.
const complainAgain = 10 * time.Minute

// silent finds somebody for whom the ceremony has waited for more than
// federation.Patience. One complaint at a time: each begins another attempt,
// which gives everybody who is left their time again.
func (s *Steward) silent(tx federation.Tx, c federation.Ceremony) (protocol.MemberID, bool) {
	now := s.now()
	if protocol.Span(protocol.At(now)-c.Since) <= federation.Patience || now.Sub(s.complained) < complainAgain {
		return "", false
	}
	for _, h := range slices.Concat(c.Receivers, c.Dealers) {
		if h.Member != s.self() && c.Awaits(tx, h.Member) {
			return h.Member, true
		}
	}
	return "", false
}

// complain leaves out whoever is silent. Every receiver does so at about the
// same time; the first one is heard.
func (s *Steward) complain(ctx context.Context, c federation.Ceremony, against protocol.MemberID) error {
	s.complained = s.now()
	s.cfg.Logger.WarnContext(ctx, "a steward has been silent for too long in the key ceremony", "against", string(against))
	err := author.Post(ctx, s.cfg.Author, protocol.Complaint{Attempt: c.Attempt, Against: against})
	if errors.Is(err, federation.ErrRefused) {
		s.cfg.Logger.DebugContext(ctx, "a complaint of silence was refused", "reason", err)
		return nil
	}
	return err
}
