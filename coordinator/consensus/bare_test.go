package consensus

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"coulisse/protocol/wire"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// BareFolder is the variable of the environment that makes this test binary a
// replica of bare raft.
const BareFolder = "COULISSE_BENCH_BARE"

// Bare is hashicorp/raft by itself, for comparison: three replicas, each a
// process, with this package's store, transport, TLS port and settings, whose
// commands do nothing.
type Bare struct {
	// Callers reach the leader's Apply through a call of gRPC, each over a
	// connection of its own, as members reach a coordinator.
	Callers []wire.CoordinatorClient
	// Apply has so many callers in the leader's own process apply the command,
	// each so many times, and tells how long that took.
	Apply func(command []byte, callers, turns int) (time.Duration, error)
	// Processes are the replicas.
	Processes []*exec.Cmd
}

// bareReplica is what a replica's process finds in its folder.
type bareReplica struct {
	ID              string
	Addresses       map[string]string
	Certificate, CA []byte // DER
	Key             []byte // SEC 1
}

// BareRaft starts it.
func BareRaft(b *testing.B, callers int) Bare {
	b.Helper()
	ca := newAuthority(b)
	addresses := map[string]string{}
	for _, id := range []string{"a", "b", "c"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addresses[id] = l.Addr().String()
		l.Close()
	}
	var bare Bare
	for id := range addresses {
		bare.Processes = append(bare.Processes, startBare(b, ca, id, addresses))
	}
	connect := func(address, name string) wire.CoordinatorClient {
		creds := credentials.NewTLS(ca.client(nil, ca.issue(memberURI+name, time.Time{})))
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds),
			grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<10))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		return wire.NewCoordinatorClient(conn)
	}
	leader := awaitBare(b, addresses, connect)
	inside := connect(leader, "inside")
	bare.Apply = func(command []byte, callers, turns int) (time.Duration, error) {
		reply, err := inside.Submit(b.Context(), &wire.SubmitRequest{Document: command, Label: fmt.Sprint(callers, " ", turns)})
		return time.Duration(reply.GetSeq()), err
	}
	for i := range callers {
		bare.Callers = append(bare.Callers, connect(leader, fmt.Sprint(i)))
	}
	return bare
}

func startBare(b *testing.B, ca *authority, id string, addresses map[string]string) *exec.Cmd {
	b.Helper()
	dir := b.TempDir()
	cert := ca.issue(replicaURI+id, time.Time{})
	key, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		b.Fatal(err)
	}
	raw, err := json.Marshal(bareReplica{ID: id, Addresses: addresses, Certificate: cert.Certificate[0], CA: ca.cert.Raw, Key: key})
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "replica.json"), raw, 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), BareFolder+"="+dir), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	return cmd
}

// awaitBare waits for a leader.
func awaitBare(b *testing.B, addresses map[string]string, connect func(address, name string) wire.CoordinatorClient) string {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		for id, address := range addresses {
			if _, err := connect(address, id).Submit(b.Context(), &wire.SubmitRequest{Document: []byte{0}}); err == nil {
				return address
			}
		}
		<-time.After(50 * time.Millisecond)
	}
	b.Fatal("no replica of bare raft leads")
	return ""
}

// ServeBare runs a replica of bare raft until the standard input ends.
func ServeBare(dir string) (err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "replica.json"))
	if err != nil {
		return err
	}
	var self bareReplica
	if err := json.Unmarshal(raw, &self); err != nil {
		return err
	}
	port, err := self.port()
	if err != nil {
		return err
	}
	timing := Timing{}.withDefaults()
	disk, err := openStore(filepath.Join(dir, "log.db"), timing.Write, func(reason error) { panic(reason) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	silent := newRaftLogger(slog.New(slog.DiscardHandler), new(atomic.Bool))
	conf := timing.settings()
	conf.LocalID, conf.Logger = raft.ServerID(self.ID), silent
	trans := newTransport(port.Raft(), timing.Exchange, &acknowledgements{}, silent)
	var servers []raft.Server
	for _, id := range []string{"a", "b", "c"} {
		servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(self.Addresses[id])})
	}
	snaps := raft.NewDiscardSnapshotStore()
	if err := raft.BootstrapCluster(conf, disk, disk, snaps, trans, raft.Configuration{Servers: servers}); err != nil {
		return err
	}
	r, err := raft.NewRaft(conf, idle{}, disk, disk, snaps, trans)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.StaticStreamWindowSize(1<<20), grpc.StaticConnWindowSize(1<<20), grpc.Creds(ServerCredentials()))
	wire.RegisterCoordinatorServer(server, door{apply: func(command []byte) error { return r.Apply(command, timing.Exchange).Error() }})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends
		server.Stop()
		stopped := r.Shutdown()
		trans.Close()
		stopped.Error()
		trans.CloseStreams()
		cancel()
	}()
	go func() { _ = server.Serve(port.GRPC()) }() // ends with its port
	return port.Run(ctx)
}

// port is the replica's, on its own address.
func (r bareReplica) port() (*Mux, error) {
	listener, err := net.Listen("tcp", r.Addresses[r.ID])
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(r.Key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(r.CA)
	if err != nil {
		return nil, err
	}
	ca := authority{cert: root, pool: x509.NewCertPool()}
	ca.pool.AddCert(root)
	cert := tls.Certificate{Certificate: [][]byte{r.Certificate}, PrivateKey: key}
	return NewMux(ca.settings(listener, cert))
}

// door applies what it is sent: by itself, or as often and by as many callers
// at once as the label says.
type door struct {
	wire.UnimplementedCoordinatorServer
	apply func([]byte) error
}

func (d door) Submit(_ context.Context, r *wire.SubmitRequest) (*wire.SubmitReply, error) {
	if r.GetLabel() == "" {
		return &wire.SubmitReply{}, d.apply(r.GetDocument())
	}
	var callers, turns int
	if _, err := fmt.Sscan(r.GetLabel(), &callers, &turns); err != nil {
		return nil, err
	}
	began, failed := time.Now(), make(chan error, callers)
	for range callers {
		go func() {
			var err error
			for i := 0; i < turns && err == nil; i++ {
				err = d.apply(r.GetDocument())
			}
			failed <- err
		}()
	}
	var err error
	for range callers {
		err = errors.Join(err, <-failed)
	}
	return &wire.SubmitReply{Seq: int64(time.Since(began))}, err
}

// idle is a state machine that does nothing.
type idle struct{}

func (idle) Apply(*raft.Log) any { return nil }

func (idle) Snapshot() (raft.FSMSnapshot, error) { return &copied{}, nil }

func (idle) Restore(io.ReadCloser) error { return nil }
