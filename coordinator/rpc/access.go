package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
)

// reading is the access to the static resources, which are no gRPC method.
const reading = "GET"

// rule is who may call a method, and what that takes off the caller's allowance.
type rule struct {
	roles []authority.Role
	// call is what each call costs, in units of [callRate]. A unit is a look at
	// what is in memory anyway.
	call int
	// message is the least that a message of a stream weighs, in bytes, whatever
	// its size: each is work of its own.
	message int
}

// access is the rule of each method. A method that is not in it is denied to
// everybody; a test compares it with the service.
var access = map[string]rule{
	wire.Coordinator_Enroll_FullMethodName:           {roles: []authority.Role{authority.Anyone, authority.Member}, call: 2},
	wire.Coordinator_Renew_FullMethodName:            {roles: []authority.Role{authority.Member, authority.Operator}, call: 5},
	wire.Coordinator_Submit_FullMethodName:           {roles: []authority.Role{authority.Member}, call: 1}, // see also submitRate
	wire.Coordinator_Follow_FullMethodName:           {roles: []authority.Role{authority.Member, authority.Operator, authority.Replica}, call: 5, message: 1 << 10},
	wire.Coordinator_Relay_FullMethodName:            {roles: []authority.Role{authority.Member}, call: 5, message: 64 << 10},
	wire.Coordinator_Upload_FullMethodName:           {roles: []authority.Role{authority.Member}, call: 5, message: 16 << 10},
	wire.Coordinator_Collect_FullMethodName:          {roles: []authority.Role{authority.Member}, call: 5, message: 64 << 10},
	wire.Coordinator_Export_FullMethodName:           {roles: []authority.Role{authority.Member, authority.Operator}, call: 50}, // all decisions, with their ballots
	wire.Coordinator_Checkpoint_FullMethodName:       {roles: []authority.Role{authority.Member, authority.Operator}, call: 1},
	wire.Coordinator_Prove_FullMethodName:            {roles: []authority.Role{authority.Member, authority.Operator}, call: 1},
	reading:                                          {roles: []authority.Role{authority.Member, authority.Operator}, call: 1},
	wire.Coordinator_Cosign_FullMethodName:           {roles: []authority.Role{authority.Member}, call: 5}, // signatures are verified
	wire.Coordinator_Status_FullMethodName:           {roles: []authority.Role{authority.Member, authority.Operator, authority.Replica}, call: 1},
	healthpb.Health_Check_FullMethodName:             {roles: []authority.Role{authority.Anyone, authority.Member, authority.Operator, authority.Replica}, call: 1},
	wire.Coordinator_Endorse_FullMethodName:          {roles: []authority.Role{authority.Operator}, call: 5},
	wire.Coordinator_ChangeRoll_FullMethodName:       {roles: []authority.Role{authority.Operator}, call: 5},
	wire.Coordinator_PrepareAuthority_FullMethodName: {roles: []authority.Role{authority.Operator}, call: 50}, // a key is made
	wire.Coordinator_IssueToken_FullMethodName:       {roles: []authority.Role{authority.Operator}, call: 2},
}

// caller is whoever made a call that was admitted.
type caller struct {
	authority.Party
	certificate *x509.Certificate // nil for Anyone
	hash        protocol.Hash     // of the certificate
	issuer      protocol.Hash     // the authority's
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
	var state tls.ConnectionState
	if p, ok := peer.FromContext(ctx); ok {
		if secured, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			state = secured.State
		}
	}
	c, err := s.enter(state, info.FullMethodName)
	if err != nil {
		return nil, err
	}
	if c.Role == authority.Anyone && !s.strangers.enter(ctx) {
		return nil, errCrowd
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// enter finds who is at the other end of a connection, if they may make a call,
// and takes it off what they may make.
func (s *Service) enter(state tls.ConnectionState, method string) (caller, error) {
	c, err := s.identify(state)
	switch {
	case errors.Is(err, authority.ErrRetired) && c.Role == authority.Member && retiredMay[method]:
		// The log names its certificate, and so is it welcome.
	case errors.Is(err, authority.ErrRetired) && c.Role == authority.Member:
		return c, s.refuse(errRenewing)
	case errors.Is(err, authority.ErrRetired):
		return c, s.unlessBehind(errRetired)
	case err != nil:
		return c, errNoParty
	}
	rule := access[method]
	if !slices.Contains(rule.roles, c.Role) {
		return c, errRole
	}
	// Before its cost: whoever is turned away uses up nobody's allowance.
	if err := s.welcome(c, method); err != nil {
		return c, err
	}
	return c, s.refuse(s.limits.call(c.Party, rule.call))
}

func (s *Service) identify(state tls.ConnectionState) (caller, error) {
	if !state.HandshakeComplete {
		return caller{}, authority.ErrParty
	}
	party, err := s.Trust.Identify(state)
	c := caller{Party: party, issuer: authority.Issuer(state)}
	if party.Role != "" && party.Role != authority.Anyone {
		c.certificate = state.PeerCertificates[0]
		c.hash = protocol.HashOf(c.certificate.Raw)
	}
	return c, err
}

// welcome asks whether the caller is still who it was when its connection
// began: its certificate has not expired nor been replaced, a member is in good
// standing, and a replica on the roll. It is asked again while a stream lasts.
func (s *Service) welcome(c caller, method string) error {
	if c.certificate != nil && s.Now().After(c.certificate.NotAfter) {
		return errExpired
	}
	if c.Role == authority.Replica && !s.Admits(protocol.ReplicaID(c.Name)) {
		return errReplaced
	}
	// A node whose certificate was replaced must be able to enrol again.
	if c.Role != authority.Member || method == wire.Coordinator_Enroll_FullMethodName {
		return nil
	}
	return s.Log.View(func(tx federation.Tx) error {
		if err := s.inStanding(tx, c.member(), method); err != nil {
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

// retiredMay is what a node may do whose certificate is by an authority that
// was retired, or whose replica left the roll: it reads the log, and so learns of
// it, and has its certificate renewed. The log still names the certificate, so
// that it is nobody else's.
var retiredMay = map[string]bool{
	wire.Coordinator_Follow_FullMethodName: true, wire.Coordinator_Status_FullMethodName: true,
	wire.Coordinator_Renew_FullMethodName: true, wire.Coordinator_Enroll_FullMethodName: true,
	healthpb.Health_Check_FullMethodName: true,
}

// certified refuses a certificate whose authority the roll has let go since the
// stream began.
func (s *Service) certified(c caller, method string) error {
	if c.Role != authority.Member && c.Role != authority.Operator || s.Trust.Certifies(c.issuer) {
		return nil
	}
	switch {
	case c.Role != authority.Member:
		return s.unlessBehind(errRetired)
	case retiredMay[method]:
		return nil
	}
	return s.refuse(errRenewing)
}

// suspendedMay is what is left to a member that a vote has suspended: it reads,
// so that it can tell when another vote reinstates it, and its node stays
// connected. Everything else waits.
var suspendedMay = map[string]bool{
	wire.Coordinator_Follow_FullMethodName: true, wire.Coordinator_Checkpoint_FullMethodName: true,
	wire.Coordinator_Prove_FullMethodName: true, wire.Coordinator_Export_FullMethodName: true, reading: true,
	wire.Coordinator_Status_FullMethodName: true, wire.Coordinator_Renew_FullMethodName: true,
	healthpb.Health_Check_FullMethodName: true,
	// Its key changes and its leaving are its own; the state refuses the rest.
	wire.Coordinator_Submit_FullMethodName: true,
}

// inStanding finds a member that belongs, and whose standing allows the call.
func (s *Service) inStanding(tx federation.Tx, id protocol.MemberID, method string) error {
	view, err := federation.View(tx)
	if err != nil {
		return s.unlessBehind(errNotMember)
	}
	m, known := view.Member(id)
	switch {
	case !known:
		return s.unlessBehind(errNotMember)
	case !m.Belongs():
		return errNotMember
	case !m.Active() && !suspendedMay[method]:
		return errSuspended
	}
	return nil
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
