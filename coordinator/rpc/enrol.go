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
	ca, err := s.Issuing()
	if err != nil {
		return nil, s.refuse(err)
	}
	certificate, enrolment, err := s.issue(ca, member, req.GetCertificateRequest())
	if err != nil {
		return nil, s.refuse(err)
	}
	if err := s.Log.Enroll(ctx, secret, protocol.HashOf(req.GetCertificateRequest()), enrolment); err != nil {
		return nil, s.refuse(err)
	}
	return &wire.EnrollReply{Certificate: certificate, Authority: ca.Certificate()}, nil
}

// Renew implements wire.CoordinatorServer. A member's present certificate stays
// good beside the new one, in case the answer is lost; the one before it does
// not. It takes the node's signature besides, so that whoever copied a folder
// before its keys were changed does not go on with its certificate.
func (s *Service) Renew(ctx context.Context, req *wire.RenewRequest) (*wire.RenewReply, error) {
	if callerOf(ctx).Role == authority.Operator {
		return s.renewOperator(ctx, req)
	}
	if _, err := s.Leadership.Lead(); err != nil {
		return nil, s.refuse(err)
	}
	if err := s.fromNode(callingMember(ctx), req); err != nil {
		return nil, err
	}
	if err := s.limits.renew(callingMember(ctx)); err != nil {
		return nil, s.refuse(err)
	}
	ca, err := s.Issuing()
	if err != nil {
		return nil, s.refuse(err)
	}
	certificate, enrolment, err := s.issue(ca, callingMember(ctx), req.GetCertificateRequest())
	if err != nil {
		return nil, s.refuse(err)
	}
	enrolment.Renews = callerOf(ctx).hash
	if err := sequencer.Post(ctx, s.Log, enrolment); err != nil {
		return nil, s.refuse(err)
	}
	return &wire.RenewReply{Certificate: certificate, Authority: ca.Certificate()}, nil
}

// renewOperator is every replica's to do, for what its own present authority has
// certified: else whoever copied an authority's key could have itself certified
// by another, and outlive the rotation or the removal that was to end it.
func (s *Service) renewOperator(ctx context.Context, req *wire.RenewRequest) (*wire.RenewReply, error) {
	ca, err := s.Issuing()
	if err != nil {
		return nil, s.refuse(err)
	}
	if ca.Hash() != callerOf(ctx).issuer {
		return nil, errOtherIssuer
	}
	certificate, err := ca.RenewOperator(callerOf(ctx).Name, req.GetCertificateRequest(), s.Now())
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.RenewReply{Certificate: certificate, Authority: ca.Certificate()}, nil
}

// PrepareAuthority implements wire.CoordinatorServer. The key does not leave
// this replica.
func (s *Service) PrepareAuthority(context.Context, *wire.PrepareAuthorityRequest) (*wire.PrepareAuthorityReply, error) {
	next, err := s.NextAuthority(s.Now())
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.PrepareAuthorityReply{Authority: next.Certificate()}, nil
}

// fromNode wants a renewal signed by the node key that the log knows.
func (s *Service) fromNode(id protocol.MemberID, req *wire.RenewRequest) error {
	return s.Log.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return s.refuse(err)
		}
		m, _ := view.Member(id) // welcomed
		if !m.Card.Node.Verify(protocol.Renewal(view.Federation, req.GetCertificateRequest()), req.GetProof()) {
			return errOtherKeys
		}
		return nil
	})
}

func (s *Service) issue(ca *authority.Authority, member protocol.MemberID, request []byte) ([]byte, protocol.Enrolment, error) {
	now := s.Log.Now()
	certificate, err := ca.IssueMember(member, request, now)
	return certificate, protocol.Enrolment{
		Member: member, Certificate: protocol.HashOf(certificate), Until: protocol.At(now.Add(authority.MemberLife)),
	}, err
}
