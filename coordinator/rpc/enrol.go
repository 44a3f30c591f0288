package rpc

import (
	"context"
	"crypto/rand"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/sequencer"
	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// MaxTokenLife bounds the life of an enrolment token.
const MaxTokenLife = 7 * 24 * time.Hour

// IssueToken implements wire.CoordinatorServer.
func (s *Service) IssueToken(ctx context.Context, req *wire.IssueTokenRequest) (*wire.IssueTokenReply, error) {
	member := protocol.MemberID(req.GetMember())
	if err := member.Check(); err != nil {
		return nil, s.refuse(err)
	}
	if req.GetValidSeconds() < 1 || req.GetValidSeconds() > int64(MaxTokenLife/time.Second) {
		most := protocol.Span(MaxTokenLife / time.Millisecond).Words()
		return nil, s.refuse(protocol.Refuse(protocol.ErrMalformed,
			"un jeton d'inscription vaut d'une seconde à %[1]s", "an enrolment token is valid for one second to %[2]s", most.FR, most.EN))
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	until := protocol.At(s.Log.Now().Add(time.Duration(req.GetValidSeconds()) * time.Second))
	err := s.Log.AddToken(ctx, state.AddToken{Secret: protocol.HashOf(secret), Member: member, Until: until})
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.IssueTokenReply{TokenSecret: secret, UntilMs: int64(until)}, nil
}

// Enroll implements wire.CoordinatorServer. It shuts out whoever held an
// earlier certificate of the member.
func (s *Service) Enroll(ctx context.Context, req *wire.EnrollRequest) (*wire.EnrollReply, error) {
	if len(req.GetTokenSecret()) != 32 {
		return nil, s.refuse(refusal.ErrToken)
	}
	secret := protocol.HashOf(req.GetTokenSecret())
	var member protocol.MemberID
	if err := s.Log.Read(ctx, func(tx federation.Tx) error {
		var ok bool
		if member, ok = state.TokenMember(tx, secret); !ok {
			return refusal.ErrToken
		}
		return nil
	}); err != nil {
		return nil, s.refuse(err)
	}
	certificate, enrolment, err := s.issue(member, req.GetCertificateRequest())
	if err != nil {
		return nil, s.refuse(err)
	}
	if err := s.Log.Enroll(ctx, secret, protocol.HashOf(req.GetCertificateRequest()), enrolment); err != nil {
		return nil, s.refuse(err)
	}
	return &wire.EnrollReply{Certificate: certificate, Authority: s.Authority.Certificate()}, nil
}

// Renew implements wire.CoordinatorServer. The caller's present certificate
// stays good beside the new one, in case the answer is lost.
func (s *Service) Renew(ctx context.Context, req *wire.RenewRequest) (*wire.RenewReply, error) {
	if _, err := s.Leadership.Lead(); err != nil {
		return nil, s.refuse(err)
	}
	if err := s.limits.renew(callingMember(ctx)); err != nil {
		return nil, s.refuse(err)
	}
	certificate, enrolment, err := s.issue(callingMember(ctx), req.GetCertificateRequest())
	if err != nil {
		return nil, s.refuse(err)
	}
	enrolment.Renews = callerOf(ctx).hash
	if err := sequencer.Post(ctx, s.Log, enrolment); err != nil {
		return nil, s.refuse(err)
	}
	return &wire.RenewReply{Certificate: certificate}, nil
}

func (s *Service) issue(member protocol.MemberID, request []byte) ([]byte, protocol.Enrolment, error) {
	now := s.Log.Now()
	certificate, err := s.Authority.IssueMember(member, request, now)
	return certificate, protocol.Enrolment{
		Member: member, Certificate: protocol.HashOf(certificate), Until: protocol.At(now.Add(authority.MemberLife)),
	}, err
}
