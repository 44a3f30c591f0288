package coordinator

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// mayCall is who may call what, written a second time.
var mayCall = map[string][]string{
	"Enroll": {"stranger", "member"}, "Renew": {"member", "office"}, "Submit": {"member"}, "Follow": {"member", "office", "replica"},
	"Relay": {"member"}, "Upload": {"member"}, "Collect": {"member"}, "Export": {"member", "office"},
	"Checkpoint": {"member", "office"}, "Prove": {"member", "office"}, "Cosign": {"member"},
	"Status": {"member", "office", "replica"}, "IssueToken": {"office"},
	"Endorse": {"office"}, "ChangeRoll": {"office"}, "PrepareAuthority": {"office"},
}

const denied = "This role may not make this call."

// try makes a call with an empty message and returns how it ended.
func try(t *testing.T, conn *grpc.ClientConn, method string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/"+wire.Coordinator_ServiceDesc.ServiceName+"/"+method)
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(&emptypb.Empty{}), stream.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func methods() (names []string) {
	for _, m := range wire.Coordinator_ServiceDesc.Methods {
		names = append(names, m.MethodName)
	}
	for _, s := range wire.Coordinator_ServiceDesc.Streams {
		names = append(names, s.StreamName)
	}
	return names
}

func TestWhoMayCallWhat(t *testing.T) {
	c := found(t, 3)
	replica, err := openCredential(filepath.Join(c.dir, "r2"))
	if err != nil {
		t.Fatal(err)
	}
	office := c.office.creds.certificate
	for role, p := range map[string]*client{
		"stranger": c.dial(nil, nil), "member": c.enrol(c.members[0]),
		"office": c.dial(nil, &office), "replica": c.dial(nil, &replica.certificate),
	} {
		for _, method := range methods() {
			roles, listed := mayCall[method]
			if !listed {
				t.Errorf("%s is a new method: decide who may call it", method)
			}
			for _, conn := range p.conns {
				err := try(t, conn, method)
				refused := status.Code(err) == codes.PermissionDenied && status.Convert(err).Message() == denied
				if refused == slices.Contains(roles, role) {
					t.Errorf("%s by a %s: %v", method, role, err)
				}
			}
		}
		if err := try(t, p.conns[0], "Unheard"); status.Code(err) != codes.PermissionDenied {
			t.Errorf("an unknown method by a %s: %v", role, err)
		}
	}
}

// member certificates that are in order but not the one in the log.
func TestCertificates(t *testing.T) {
	c := found(t, 3)
	m := c.members[0]
	ca := mustAuthority(t, c)
	k, csr := request(t)
	raw, err := ca.IssueMember(m.ID, csr, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leader := c.leader()
	unenrolled := c.dial(m, certificateOf(t, k, raw, ca.Certificate()))
	if _, err := unenrolled.stubs[leader].Status(t.Context(), &wire.StatusRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Fatal("a certificate that is not in the log was admitted:", err)
	}
	if err := try(t, unenrolled.conns[0], "Enroll"); status.Convert(err).Message() == denied || status.Code(err) == codes.Unauthenticated {
		t.Fatal("a member without a good certificate cannot enrol:", err)
	}

	other, err := authority.Create(c.card.Namespace, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = other.IssueMember(m.ID, csr, time.Now()); err != nil {
		t.Fatal(err)
	}
	foreign := c.dial(m, certificateOf(t, k, raw, other.Certificate()))
	if _, err := foreign.stubs[leader].Status(t.Context(), &wire.StatusRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Fatal("another authority's certificate was admitted:", err)
	}
	// Nor beside an authority that did not sign it.
	posed := c.dial(m, certificateOf(t, k, raw, ca.Certificate()))
	if _, err := posed.stubs[leader].Status(t.Context(), &wire.StatusRequest{}); status.Code(err) != codes.Unavailable {
		t.Fatal("a certificate that its authority did not sign was admitted:", err)
	}
	if raw, err = ca.IssueMember("membre-99", csr, time.Now()); err != nil {
		t.Fatal(err)
	}
	unknown := c.dial(m, certificateOf(t, k, raw, ca.Certificate()))
	if _, err := unknown.stubs[leader].Status(t.Context(), &wire.StatusRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Fatal("somebody who is no member was admitted:", err)
	}
}

func mustAuthority(t *testing.T, c *cluster) *authority.Authority {
	t.Helper()
	r, err := Open(Config{Dir: filepath.Join(c.dir, "r1")})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := r.issuing()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestEnrolmentTokens(t *testing.T) {
	c := found(t, 3)
	m, stranger := c.members[0], c.dial(nil, nil)
	token := c.token(m, time.Hour)
	if token.Federation != c.id || len(token.Route.Keys) != 3 || len(token.Route.Addresses) != 3 {
		t.Fatalf("the token does not name this federation: %+v", token.Federation)
	}
	k, csr := request(t)
	first, err := stranger.enroll(token, csr)
	if err != nil {
		t.Fatal(err)
	}
	if !(protocol.Roll{Replicas: c.card.Replicas}).Issues(protocol.HashOf(first.GetAuthority())) {
		t.Fatal("the answer carries another authority")
	}
	again, err := stranger.enroll(token, csr)
	if err != nil {
		t.Fatal("the same request cannot be repeated:", err)
	}
	p := c.dial(m, certificateOf(t, k, again.GetCertificate(), again.GetAuthority()))
	if err := p.ask(); err != nil {
		t.Fatal(err)
	}
	old := c.dial(m, certificateOf(t, k, first.GetCertificate(), first.GetAuthority()))
	if err := old.ask(); !strings.Contains(err.Error(), "replaced") {
		t.Fatal("a certificate that an enrolment replaced is good:", err)
	}
	_, other := request(t)
	if _, err := stranger.enroll(token, other); !errors.Is(err, refusal.ErrToken) {
		t.Fatal("a token was used twice:", err)
	}
	token.Secret[0] ^= 1
	if _, err := stranger.enroll(token, csr); !errors.Is(err, refusal.ErrToken) {
		t.Fatal("an invented token was taken:", err)
	}
	short := c.token(m, time.Minute)
	c.ahead.Add(int64(90 * time.Second))
	if _, err := stranger.enroll(short, other); !errors.Is(err, refusal.ErrToken) {
		t.Fatal("an expired token was taken:", err)
	}
	if _, err := stranger.enroll(c.token(m, time.Hour), []byte("not a request")); !errors.Is(err, protocol.ErrMalformed) {
		t.Fatal("a malformed request was taken:", err)
	}
	if _, _, err := c.office.IssueToken(t.Context(), "membre-99", time.Hour); err == nil {
		t.Fatal("a token for somebody who is no member")
	}
	if _, _, err := c.office.IssueToken(t.Context(), m.ID, 1000*time.Hour); !errors.Is(err, protocol.ErrMalformed) {
		t.Fatal("a token that lives for weeks:", err)
	}
}

// ask calls the leader with what may be called without harm.
func (p *client) ask() error {
	return p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
		reply, err := stub.Status(ctx, &wire.StatusRequest{})
		if err == nil && reply.GetState() != "leader" {
			return refusal.ErrNotLeader
		}
		return err
	})
}

// renew asks for the next certificate, signed with a node key.
func (p *client) renew(node key.Private[key.Node]) (*client, error) {
	k, csr := request(p.c.t)
	var reply *wire.RenewReply
	err := p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) (err error) {
		reply, err = stub.Renew(ctx, &wire.RenewRequest{CertificateRequest: csr, Proof: node.Sign(protocol.Renewal(p.c.id, csr))})
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.c.dial(p.member, certificateOf(p.c.t, k, reply.GetCertificate(), reply.GetAuthority())), nil
}

// A copy of a node's folder, taken before its keys were changed, reads no more
// once the node has renewed twice, and renews nothing itself.
func TestACopiedFolder(t *testing.T) {
	c := found(t, 3)
	p := c.enrol(c.members[0])
	stolen := c.dial(p.member, p.cert)
	next := federationtest.NewMember(t, p.member.ID)
	vote(p, protocol.KeyChange{Card: next.Signed})
	if err := stolen.ask(); err != nil {
		t.Fatal("nothing has replaced the certificate yet:", err)
	}
	if _, err := stolen.renew(p.member.Node); !strings.Contains(refusal.Words(err).EN, "does not have the keys") {
		t.Error("the former node key renews a certificate:", err)
	}
	once, err := p.renew(next.Node)
	if err != nil {
		t.Fatal(err)
	}
	if err := stolen.ask(); err != nil {
		t.Fatal("the answer could be lost:", err)
	}
	twice, err := once.renew(next.Node)
	if err != nil {
		t.Fatal(err)
	}
	if err := twice.ask(); err != nil {
		t.Error(err)
	}
	if err := stolen.ask(); !strings.Contains(refusal.Words(err).EN, "was replaced by another one") {
		t.Error("a copy of the folder goes on reading:", err)
	}
}

func TestRenewal(t *testing.T) {
	c := found(t, 3)
	p := c.enrol(c.members[0])
	renew := func(p *client) *client {
		t.Helper()
		next, err := p.renew(p.member.Node)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	// A node that lost the first answer asks again with what it has.
	lost, renewed := renew(p), renew(p)
	if err := errors.Join(p.ask(), renewed.ask()); err != nil {
		t.Fatal(err)
	}
	if lost.ask() == nil {
		t.Fatal("a certificate that was never taken up is good")
	}
	next := renew(renewed)
	if err := errors.Join(next.ask(), renewed.ask()); err != nil {
		t.Fatal(err)
	}
	if p.ask() == nil {
		t.Fatal("a certificate is good after two renewals")
	}

	// Within a connection, and on a new one.
	c.ahead.Add(int64(authority.MemberLife + time.Minute))
	if next.ask() == nil {
		t.Fatal("an expired certificate is good")
	}
	if _, err := c.dial(p.member, next.cert).stubs[0].Status(t.Context(), &wire.StatusRequest{}); err == nil {
		t.Fatal("an expired certificate opens a connection")
	}
}

func TestStreamsEndWithMembership(t *testing.T) {
	c := found(t, 4)
	var clients []*client
	for _, m := range c.members {
		clients = append(clients, c.enrol(m))
	}
	c.settle()
	expelled := clients[3]
	leader := c.leader()
	relay, err := expelled.stubs[leader].Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	follow, err := expelled.stubs[(leader+1)%3].Follow(t.Context(), &wire.FollowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() {
		_, err := relay.Recv()
		ended <- err
	}()
	go func() {
		for {
			if _, err := follow.Recv(); err != nil {
				ended <- err
				return
			}
		}
	}()
	c.decide(clients, protocol.Effect{Expel: expelled.member.ID})
	for range 2 {
		if err := <-ended; status.Code(err) != codes.PermissionDenied {
			t.Fatal("a stream of an expelled member ended with", err)
		}
	}
	_, err = send(expelled, sign(c, expelled.member, expelled.member.Vote, c.head(), c.proposal("Encore", protocol.Effect{SetFloors: &floors})))
	if err == nil {
		t.Fatal("an expelled member was heard")
	}
}

func TestSubmitRefuses(t *testing.T) {
	c := found(t, 3)
	a, b := c.enrol(c.members[0]), c.enrol(c.members[1])
	proposal := sign(c, a.member, a.member.Vote, c.head(), c.proposal("Une proposition", protocol.Effect{SetFloors: &floors}))
	if _, err := send(b, proposal); err == nil {
		t.Error("a member submitted another's document")
	}
	forged := proposal
	forged.By = protocol.PartyID(b.member.ID)
	if _, err := send(b, forged); !errors.Is(err, protocol.ErrSignature) {
		t.Error("a member put its name on another's document:", err)
	}
	document, err := protocol.Canonical(proposal)
	if err != nil {
		t.Fatal(err)
	}
	for name, label := range map[string]protocol.Label{"a replica's": protocol.LabelClose, "an unknown": "song", "no": ""} {
		if _, err := a.submit(label, document); err == nil {
			t.Errorf("a member submitted under %s label", name)
		}
	}
	if _, err := a.submit(protocol.LabelProposal, make([]byte, protocol.MaxDocument+1)); !errors.Is(err, protocol.ErrMalformed) {
		t.Error("an oversized document:", err)
	}
	if _, err := a.submit(protocol.LabelProposal, append(document, ' ')); !errors.Is(err, protocol.ErrMalformed) {
		t.Error("a document that is not canonical:", err)
	}
	if _, err := a.submit(protocol.LabelProposal, make([]byte, 8<<20)); err == nil {
		t.Error("a message beyond every bound")
	}
	first, err := send(a, proposal)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := send(a, proposal); err != nil || again != first {
		t.Error("the same document again:", again, err)
	}
	// Whoever leads may change while we look.
	for range 20 {
		leader := c.leader()
		_, err = a.stubs[(leader+1)%3].Submit(t.Context(), &wire.SubmitRequest{Label: string(protocol.LabelProposal), Document: document})
		var hint refusal.NotLeader
		if errors.As(refusal.FromStatus(err), &hint) && hint.Address == string(c.peers[leader].Address) {
			return
		}
	}
	t.Error("a follower does not name the leader:", err)
}

func TestParcels(t *testing.T) {
	c := found(t, 3)
	a, b := c.enrol(c.members[0]), c.enrol(c.members[1])
	leader := c.leader()
	from, err := a.stubs[leader].Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := b.stubs[leader].Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The sender's name is not its own to choose.
	if err := from.Send(&wire.Parcel{From: "membre-03", To: string(b.member.ID), Sealed: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	parcel, err := to.Recv()
	if err != nil || parcel.GetFrom() != string(a.member.ID) || string(parcel.GetSealed()) != "x" {
		t.Fatal(parcel, err)
	}
	if err := from.Send(&wire.Parcel{To: "membre-99"}); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Recv(); status.Code(err) != codes.NotFound {
		t.Fatal("a parcel to nobody:", err)
	}
	// Connecting again replaces the first stream, and a follower relays nothing.
	if _, err := b.stubs[leader].Relay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Recv(); status.Code(err) != codes.Aborted {
		t.Fatal("the first stream ended with", err)
	}
	c.settle() // a follower that is behind does not know the member yet
	elsewhere, err := b.stubs[(leader+1)%3].Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Recv(); !errors.Is(refusal.FromStatus(err), refusal.ErrNotLeader) {
		t.Fatal("a follower relays:", err)
	}
	// The relay ends with the leadership.
	last, err := a.stubs[leader].Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := last.Send(&wire.Parcel{To: string(a.member.ID)}); err != nil {
		t.Fatal(err)
	}
	if _, err := last.Recv(); err != nil {
		t.Fatal("a parcel to oneself:", err)
	}
	c.stop(leader)
	if _, err := last.Recv(); status.Code(err) != codes.Unavailable {
		t.Fatal("the relay of a leader that stopped ended with", err)
	}
}
