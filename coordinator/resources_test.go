package coordinator

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/tiles/tilestest"
	"coulisse/protocol/tlog"
	"coulisse/protocol/wire"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// browser is an ordinary HTTPS client, with a certificate or none, that was
// given the replicas' own.
func (c *cluster) browser(cert *tls.Certificate) *http.Client {
	c.t.Helper()
	roots := x509.NewCertPool()
	for _, p := range c.peers {
		text, err := os.ReadFile(filepath.Join(c.dir, string(p.ID), fileTLS))
		if err != nil || !roots.AppendCertsFromPEM(text) {
			c.t.Fatal("a replica's certificate:", err)
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, NextProtos: []string{"http/1.1"}}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	transport := &http.Transport{TLSClientConfig: config}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// get reads a resource from a replica.
func (c *cluster) get(client *http.Client, replica int, path string) (*http.Response, []byte) {
	c.t.Helper()
	reply, err := client.Get("https://" + string(c.peers[replica].Address) + "/" + path)
	if err != nil {
		c.t.Fatal(path, err)
	}
	defer reply.Body.Close()
	raw, err := io.ReadAll(reply.Body)
	if err != nil {
		c.t.Fatal(path, err)
	}
	return reply, raw
}

func TestWhoMayReadResources(t *testing.T) {
	c := found(t, 3)
	replica, err := openCredential(filepath.Join(c.dir, "r2"))
	if err != nil {
		t.Fatal(err)
	}
	member, office := c.enrol(c.members[0]), c.office.creds.certificate
	c.settle()
	for _, role := range []struct {
		name string
		cert *tls.Certificate
		want int
	}{
		{"stranger", nil, http.StatusForbidden}, {"member", member.cert, http.StatusOK},
		{"office", &office, http.StatusOK}, {"replica", &replica.certificate, http.StatusForbidden},
	} {
		client := c.browser(role.cert)
		for i := range c.peers {
			for _, path := range []string{"checkpoint", "checkpoint.all", "tile/0/000.p/1", "tile/lines/000.p/1"} {
				if reply, raw := c.get(client, i, path); reply.StatusCode != role.want {
					t.Errorf("%s read by a %s: %s %s", path, role.name, reply.Status, raw)
				}
			}
		}
	}
	// A certificate that the log does not hold is none.
	k, csr := request(t)
	ca := mustAuthority(t, c)
	raw, err := ca.IssueMember(c.members[1].ID, csr, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if reply, _ := c.get(c.browser(certificateOf(t, k, raw, ca.Certificate())), c.leader(), "checkpoint"); reply.StatusCode != http.StatusUnauthorized {
		t.Error("a certificate that is not in the log:", reply.Status)
	}
	client := c.browser(member.cert)
	for path, want := range map[string]int{
		"": 404, "tile/0/000": 404, "tile/0/x001/000": 404, "tile/entries/000": 404, "tile/9/000": 404, "healthz": 404,
		"tile/0/000.p/255": 404, "Checkpoint": 404, "tile/lines/../0/000.p/1": 404, "tile/0/000.p/1?x=y": 200,
	} {
		if reply, _ := c.get(client, 0, path); reply.StatusCode != want {
			t.Errorf("%q: %s", path, reply.Status)
		}
	}
	reply, err := client.Post("https://"+string(c.peers[0].Address)+"/checkpoint", "text/plain", strings.NewReader("x"))
	if err != nil || reply.StatusCode != http.StatusMethodNotAllowed {
		t.Error("a resource was written to:", err, reply.Status)
	}
	reply.Body.Close()
}

// A tool that knows a replica's key, and nothing of us, proves every entry.
func TestOthersProveFromAReplica(t *testing.T) {
	c := found(t, 3)
	clients := c.enrolAll()
	c.decide(clients, protocol.Effect{SetFloors: &floors})
	c.settle()
	client := c.browser(clients[0].cert)
	view, err := governance.Begin(c.founding)
	if err != nil {
		t.Fatal(err)
	}
	n := tilestest.ProveAll(t, checkpoint.ReplicaKeys(view)[0].VKey, func(path string) ([]byte, error) {
		reply, raw := c.get(client, 0, path)
		kind, keep := "application/octet-stream", "private, max-age=31536000, immutable"
		if path == "checkpoint" {
			kind, keep = "text/plain; charset=utf-8", "private, max-age=5"
		}
		if h := reply.Header; reply.StatusCode != http.StatusOK || h.Get("Content-Type") != kind || h.Get("Cache-Control") != keep {
			return nil, fmt.Errorf("%s is %s: %v", path, reply.Status, h)
		}
		return raw, nil
	})
	if n < 5 {
		t.Errorf("%d entries", n)
	}
}

// Proofs over gRPC, against the heads that the log had.
func TestProofsOverTheWire(t *testing.T) {
	c := found(t, 3)
	p := c.enrol(c.members[0])
	c.enrol(c.members[1])
	c.settle()
	log := c.log()
	head := c.head()
	for i, stub := range p.stubs {
		for seq := range head.Size {
			reply, err := stub.Prove(t.Context(), &wire.ProveRequest{Size: head.Size, What: &wire.ProveRequest_Entry{Entry: seq}})
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.Check(head, seq, reply.GetEntry(), pathIn(t, reply)); err != nil {
				t.Errorf("entry %d by replica %d: %v", seq, i+1, err)
			}
			before, err := tlog.HeadAt(log, seq+1)
			if err != nil {
				t.Fatal(err)
			}
			reply, err = stub.Prove(t.Context(), &wire.ProveRequest{Size: head.Size, What: &wire.ProveRequest_Before{Before: seq + 1}})
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckGrowth(before, head, pathIn(t, reply)); err != nil {
				t.Errorf("growth from %d by replica %d: %v", seq+1, i+1, err)
			}
		}
		for _, bad := range []*wire.ProveRequest{
			{}, {Size: head.Size}, {Size: -1, What: &wire.ProveRequest_Entry{}}, {Size: head.Size + 100, What: &wire.ProveRequest_Entry{}},
			{Size: head.Size, What: &wire.ProveRequest_Entry{Entry: head.Size}}, {Size: head.Size, What: &wire.ProveRequest_Entry{Entry: -1}},
			{Size: head.Size, What: &wire.ProveRequest_Before{}}, {Size: 1 << 60, What: &wire.ProveRequest_Before{Before: 1}},
			{Size: head.Size, What: &wire.ProveRequest_Before{Before: head.Size + 1}},
		} {
			if _, err := stub.Prove(t.Context(), bad); status.Code(err) != codes.NotFound && status.Code(err) != codes.InvalidArgument {
				t.Errorf("%v is proven: %v", bad, err)
			}
		}
	}
	if federation.Size(log) != head.Size {
		t.Error("the log grew meanwhile")
	}
}

func pathIn(t *testing.T, reply *wire.ProveReply) (path []protocol.Hash) {
	t.Helper()
	for _, raw := range reply.GetPath() {
		if len(raw) != len(protocol.Hash{}) {
			t.Fatal("a path of something else than hashes")
		}
		path = append(path, protocol.Hash(raw))
	}
	return path
}
