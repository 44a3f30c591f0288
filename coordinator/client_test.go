package coordinator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/pinned"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// client is a party's connections, one to each replica.
type client struct {
	c      *cluster
	member *federationtest.Member // nil if it is none
	cert   *tls.Certificate
	stubs  []wire.CoordinatorClient
	conns  []*grpc.ClientConn
}

// dial connects with a certificate, or with none.
func (c *cluster) dial(m *federationtest.Member, cert *tls.Certificate, options ...grpc.DialOption) *client {
	c.t.Helper()
	p := &client{c: c, member: m, cert: cert}
	config := pinned.Dial(c.office.trusts, nil)
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	for _, peer := range c.peers {
		conn, err := grpc.NewClient(string(peer.Address), append(options, grpc.WithTransportCredentials(credentials.NewTLS(config)),
			grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second}))...)
		if err != nil {
			c.t.Fatal(err)
		}
		p.conns, p.stubs = append(p.conns, conn), append(p.stubs, wire.NewCoordinatorClient(conn))
	}
	c.t.Cleanup(p.close)
	return p
}

func (p *client) close() {
	for _, conn := range p.conns {
		conn.Close()
	}
}

// request makes a key and a certificate request.
func request(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
	if err != nil {
		t.Fatal(err)
	}
	return k, csr
}

// token has the office issue an enrolment token.
func (c *cluster) token(m *federationtest.Member, valid time.Duration) protocol.EnrolmentToken {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	for {
		token, _, err := c.office.IssueToken(ctx, m.ID, valid)
		if err == nil {
			return token
		}
		// On a busy machine replicas elect another leader now and then.
		if !errors.Is(err, refusal.ErrUnavailable) || ctx.Err() != nil {
			c.t.Fatal(err)
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// enrol gives a member its certificate and connects with it.
func (c *cluster) enrol(m *federationtest.Member) *client {
	c.t.Helper()
	k, csr := request(c.t)
	stranger := c.dial(m, nil)
	defer stranger.close()
	reply, err := stranger.enroll(c.token(m, time.Hour), csr)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.dial(m, certificateOf(c.t, k, reply.GetCertificate(), reply.GetAuthority()))
}

func certificateOf(t *testing.T, k *ecdsa.PrivateKey, chain ...[]byte) *tls.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: k, Leaf: leaf}
}

func (p *client) enroll(token protocol.EnrolmentToken, csr []byte) (reply *wire.EnrollReply, err error) {
	err = p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
		reply, err = stub.Enroll(ctx, &wire.EnrollRequest{TokenSecret: token.Secret, CertificateRequest: csr})
		return err
	})
	return reply, err
}

// atLeader repeats a call at every replica until one answers as the leader.
func (p *client) atLeader(call func(context.Context, wire.CoordinatorClient) error) error {
	ctx, cancel := context.WithTimeout(p.c.t.Context(), 30*time.Second)
	defer cancel()
	for turn := 0; ; turn++ {
		attempt, stop := context.WithTimeout(ctx, 5*time.Second)
		err := refusal.FromStatus(call(attempt, p.stubs[turn%len(p.stubs)]))
		stop()
		if !errors.Is(err, refusal.ErrNotLeader) && !errors.Is(err, refusal.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		if turn%len(p.stubs) == 2 {
			pause(ctx, 20*time.Millisecond)
		}
	}
}

// pause spaces out attempts; no test relies on its length.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func sign[R key.Role, T protocol.Document[R]](c *cluster, m *federationtest.Member, k key.Private[R], head protocol.Head, doc T) protocol.Signed[T] {
	c.t.Helper()
	signed, err := protocol.Sign(protocol.Signer[R]{Federation: c.id, By: protocol.PartyID(m.ID), Key: k}, head, doc)
	if err != nil {
		c.t.Fatal(err)
	}
	return signed
}

// send submits a signed document and returns its place in the log.
func send[T interface{ Label() protocol.Label }](p *client, s protocol.Signed[T]) (int64, error) {
	p.c.t.Helper()
	document, err := protocol.Canonical(s)
	if err != nil {
		p.c.t.Fatal(err)
	}
	var doc T
	return p.submit(doc.Label(), document)
}

func (p *client) submit(label protocol.Label, document []byte) (seq int64, err error) {
	err = p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
		reply, err := stub.Submit(ctx, &wire.SubmitRequest{Label: string(label), Document: document})
		seq = reply.GetSeq()
		return err
	})
	return seq, err
}

// post signs with a member's node key under the log's present head, and sends.
func post[T protocol.Document[key.Node]](p *client, doc T) {
	p.c.t.Helper()
	if _, err := send(p, sign(p.c, p.member, p.member.Node, p.c.head(), doc)); err != nil {
		p.c.t.Fatalf("%s by %s: %v", doc.Label(), p.member.ID, err)
	}
}

// vote signs with a member's voting key, and sends. It returns what it sent.
func vote[T protocol.Document[key.Vote]](p *client, doc T) protocol.Signed[T] {
	p.c.t.Helper()
	s := sign(p.c, p.member, p.member.Vote, p.c.head(), doc)
	if _, err := send(p, s); err != nil {
		p.c.t.Fatalf("%s by %s: %v", doc.Label(), p.member.ID, err)
	}
	return s
}

// proposal is one that stays open for a day.
func (c *cluster) proposal(title string, e protocol.Effect) protocol.Proposal {
	return protocol.Proposal{
		Title: protocol.Text{FR: title, EN: title}, Reason: protocol.Text{FR: "Parce que.", EN: "Because."},
		Effect: e, Closes: protocol.At(c.now().Add(24 * time.Hour)),
	}
}

// decide has every member vote for an effect, and waits for the decision.
func (c *cluster) decide(clients []*client, e protocol.Effect) {
	c.t.Helper()
	id := c.open(clients, e)
	for _, p := range clients {
		vote(p, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For}))
	}
	c.until("the vote is closed", func(log *federation.Memory) bool {
		p, err := federation.FindProposal(log, id)
		return err == nil && p.Decision != 0
	})
}

func (c *cluster) open(clients []*client, e protocol.Effect) protocol.Hash {
	c.t.Helper()
	id := protocol.ID(c.id, vote(clients[0], c.proposal("Une proposition", e)))
	vote(clients[1], protocol.Cosign{Proposal: id})
	return id
}
