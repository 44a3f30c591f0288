package rpc

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
)

// access is who may call what. A method that is not in it is denied to
// everybody; a test compares it with the service.
var access = map[string][]authority.Role{
	wire.Coordinator_Enroll_FullMethodName:     {authority.Anyone, authority.Member},
	wire.Coordinator_Renew_FullMethodName:      {authority.Member},
	wire.Coordinator_Submit_FullMethodName:     {authority.Member},
	wire.Coordinator_Follow_FullMethodName:     {authority.Member, authority.Operator},
	wire.Coordinator_Relay_FullMethodName:      {authority.Member},
	wire.Coordinator_Upload_FullMethodName:     {authority.Member},
	wire.Coordinator_Collect_FullMethodName:    {authority.Member},
	wire.Coordinator_Export_FullMethodName:     {authority.Member, authority.Operator},
	wire.Coordinator_Checkpoint_FullMethodName: {authority.Member, authority.Operator},
	wire.Coordinator_Cosign_FullMethodName:     {authority.Member},
	wire.Coordinator_Status_FullMethodName:     {authority.Member, authority.Operator},
	wire.Coordinator_IssueToken_FullMethodName: {authority.Operator},
}

// caller is whoever made a call that was admitted.
type caller struct {
	authority.Party
	certificate *x509.Certificate // nil for Anyone
	hash        protocol.Hash     // of the certificate
}

func (c caller) member() protocol.MemberID { return protocol.MemberID(c.Name) }

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

func callingMember(ctx context.Context) protocol.MemberID { return callerOf(ctx).member() }

// admit is the one choke point. gRPC calls it for every call before it reads
// a message, so that whoever is denied costs no memory.
func (s *Service) admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	c, err := s.identify(ctx)
	if err != nil {
		return nil, errNoParty
	}
	if !slices.Contains(access[info.FullMethodName], c.Role) {
		return nil, errRole
	}
	if err := s.welcome(c, info.FullMethodName); err != nil {
		return nil, err
	}
	if c.Role == authority.Anyone && !s.strangers.enter(ctx) {
		return nil, errCrowd
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

func (s *Service) identify(ctx context.Context) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, authority.ErrParty
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return caller{}, authority.ErrParty
	}
	party, err := authority.Identify(s.Namespace, info.State)
	if err != nil || party.Role == authority.Anyone {
		return caller{Party: party}, err
	}
	certificate := info.State.PeerCertificates[0]
	return caller{Party: party, certificate: certificate, hash: protocol.HashOf(certificate.Raw)}, nil
}

// welcome asks whether the caller is still who it was when its connection
// began: its certificate has not expired nor been replaced, and a member is in
// good standing. It is asked again while a stream lasts.
func (s *Service) welcome(c caller, method string) error {
	if c.certificate != nil && s.Now().After(c.certificate.NotAfter) {
		return errExpired
	}
	// A node whose certificate was replaced must be able to enrol again.
	if c.Role != authority.Member || method == wire.Coordinator_Enroll_FullMethodName {
		return nil
	}
	return s.Log.View(func(tx federation.Tx) error {
		if err := s.inGoodStanding(tx, c.member()); err != nil {
			return err
		}
		enrolment, ok := federation.Enrolled(tx, c.member())
		if ok && (enrolment.Certificate == c.hash || enrolment.Renews == c.hash) {
			return nil
		}
		// Certificates count in seconds.
		if !ok || !c.certificate.NotAfter.Before(enrolment.Until.Time().Truncate(time.Second)) {
			return s.unlessBehind(errSuperseded)
		}
		return errSuperseded
	})
}

// inGoodStanding finds a member whom the others have not expelled.
func (s *Service) inGoodStanding(tx federation.Tx, id protocol.MemberID) error {
	view, err := federation.View(tx)
	if err != nil {
		return s.unlessBehind(errNotMember)
	}
	if _, ok := view.Active(id); ok {
		return nil
	}
	if _, known := view.Member(id); known {
		return errNotMember
	}
	return s.unlessBehind(errNotMember)
}

// unlessBehind is a denial for something that the log does not know, which is
// final at the leader only: a follower may not have heard of it yet.
func (s *Service) unlessBehind(denial error) error {
	if _, err := s.Leadership.Lead(); err != nil {
		return s.refuse(refusal.ErrUnavailable)
	}
	return denial
}

// gate lets so many calls of strangers be under way at once.
type gate chan struct{}

// enter takes a place until ctx, the call's, ends.
func (g gate) enter(ctx context.Context) bool {
	select {
	case g <- struct{}{}:
		context.AfterFunc(ctx, func() { <-g })
		return true
	default:
		return false
	}
}
