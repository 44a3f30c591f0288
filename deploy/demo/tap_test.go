package demo

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/pinned"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// tap stands in front of every replica and records all that any process sends
// to one, in the clear: the test owns every folder, so it answers with the
// replica's own key and dials on with the caller's own certificate. Nobody else
// could, and no process notices.
type tap struct {
	t    *testing.T
	root string

	// mu guards the recordings, and what to close: once closed, nothing is
	// opened and no work begins.
	mu     sync.Mutex
	lines  []*recording
	open   []io.Closer
	closed bool
	work   sync.WaitGroup
}

// recording is one direction of a connection.
type recording struct {
	from, to string
	protocol string
	bytes    bytes.Buffer
}

// serve passes connections on from a listener to where the replica listens.
func (p *tap) serve(listener net.Listener, replica, upstream string) {
	p.begin(listener, func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.begin(conn, func() {
				if err := p.pass(conn, replica, upstream); err != nil && !errors.Is(err, net.ErrClosed) {
					p.t.Logf("tap: %v", err) // an enrolling node, a replica that is away
				}
			})
		}
	})
}

// begin works on something that close will close, or closes it at once: work
// that waits for what nobody closes would never end.
func (p *tap) begin(on io.Closer, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		on.Close()
		return
	}
	p.open = append(p.open, on)
	p.work.Go(do)
}

// close ends everything and waits.
func (p *tap) close() {
	p.mu.Lock()
	p.closed = true
	for _, open := range p.open {
		open.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

func (p *tap) pass(raw net.Conn, replica, upstream string) error {
	defer raw.Close()
	own, err := p.credential(filepath.Join(dirCoordinator, replica))
	if err != nil {
		return err
	}
	client := tls.Server(raw, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, SessionTicketsDisabled: true,
			ClientAuth: tls.RequestClientCert, NextProtos: hello.SupportedProtos[:1],
		}, nil
	}})
	if err := client.Handshake(); err != nil {
		return err
	}
	config := pinned.Dial(func(protocol.Hash) bool { return true }, nil) // it is on this machine
	config.NextProtos = []string{client.ConnectionState().NegotiatedProtocol}
	caller := "nobody"
	if shown := client.ConnectionState().PeerCertificates; len(shown) > 0 {
		caller = strings.TrimPrefix(shown[0].URIs[0].Path, "/")
		held, err := p.callers(caller)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{held}
	}
	beyond, err := net.Dial("tcp", upstream)
	if err != nil {
		return err
	}
	defer beyond.Close()
	p.join(client, tls.Client(beyond, config), beyond, caller, "replica/"+replica)
	return nil
}

// join copies both ways until one side ends, then ends the other.
func (p *tap) join(client, server *tls.Conn, beyond io.Closer, caller, replica string) {
	negotiated := client.ConnectionState().NegotiatedProtocol
	there := &recording{from: caller, to: replica, protocol: negotiated}
	back := &recording{from: replica, to: caller, protocol: negotiated}
	p.mu.Lock()
	p.lines = append(p.lines, there, back)
	p.mu.Unlock()
	p.begin(beyond, func() {
		p.copy(client, server, back)
		client.Close()
	})
	p.copy(server, client, there)
	server.Close()
}

func (p *tap) copy(to io.Writer, from io.Reader, r *recording) {
	chunk := make([]byte, 64<<10)
	for {
		n, err := from.Read(chunk)
		p.mu.Lock()
		r.bytes.Write(chunk[:n])
		p.mu.Unlock()
		if _, failed := to.Write(chunk[:n]); failed != nil || err != nil {
			return
		}
	}
}

// callers finds the certificate of whoever calls, in its folder.
func (p *tap) callers(party string) (tls.Certificate, error) {
	role, name, _ := strings.Cut(party, "/")
	switch role {
	case "replica":
		return p.credential(filepath.Join(dirCoordinator, name))
	case "operator":
		return p.credential(filepath.Join(dirCoordinator, "operator"))
	}
	dir := filepath.Join(p.root, name)
	identity, err := seal.LoadIdentity(filepath.Join(dir, "identity.agekey"))
	if err != nil {
		return tls.Certificate{}, err
	}
	text, err := seal.ReadFile(filepath.Join(dir, "tls.age"), identity, maxSecret)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(text, text)
}

// credential reads what a folder of the coordinator's shows of itself.
func (p *tap) credential(folder string) (held tls.Certificate, err error) {
	dir := filepath.Join(p.root, folder)
	identity, err := seal.LoadIdentity(filepath.Join(dir, "identity.agekey"))
	if err != nil {
		return held, err
	}
	der, err := seal.ReadFile(filepath.Join(dir, "tls-key.age"), identity, maxSecret)
	if err != nil {
		return held, err
	}
	if held.PrivateKey, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		return held, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "tls.pem"))
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		held.Certificate = append(held.Certificate, block.Bytes)
	}
	return held, err
}

// messages are what a direction carried: as it is, and, for gRPC, each stream's
// data put together again and its headers decoded, since HTTP/2 cuts and
// compresses them.
func (r *recording) messages() [][]byte {
	all := [][]byte{r.bytes.Bytes()}
	if r.protocol != "h2" {
		return all
	}
	stream := bytes.NewReader(bytes.TrimPrefix(r.bytes.Bytes(), []byte(http2.ClientPreface)))
	framer := http2.NewFramer(nil, stream)
	framer.SetMaxReadFrameSize(1<<24 - 1)
	var headers bytes.Buffer
	decoder := hpack.NewDecoder(4096, func(f hpack.HeaderField) { fmt.Fprintf(&headers, "%s: %s\n", f.Name, f.Value) })
	data := map[uint32]*bytes.Buffer{}
	for {
		frame, err := framer.ReadFrame()
		if err != nil { // the end, or a frame that was cut with the connection
			break
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			if data[f.StreamID] == nil {
				data[f.StreamID] = new(bytes.Buffer)
			}
			data[f.StreamID].Write(f.Data())
		case *http2.HeadersFrame:
			decoder.Write(f.HeaderBlockFragment())
		case *http2.ContinuationFrame:
			decoder.Write(f.HeaderBlockFragment())
		}
	}
	for _, b := range data {
		all = append(all, b.Bytes())
	}
	return append(all, headers.Bytes())
}

// freeAddress is a loopback address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// close ends connections that say nothing, and what begins while it closes or
// after: a test that hangs here would hang for ever.
func TestTapsCloseWhateverIsOpen(t *testing.T) {
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	taps := &tap{t: t, root: t.TempDir()}
	var busy sync.WaitGroup
	for range 50 {
		listener := listen()
		busy.Go(func() { taps.serve(listener, "r1", "127.0.0.1:0") })
		busy.Go(func() {
			silent, err := net.Dial("tcp", listener.Addr().String())
			if err == nil { // else it was closed already
				defer silent.Close()
				silent.Read(make([]byte, 1)) // until the tap ends it
			}
		})
	}
	taps.close()
	busy.Wait()
	late := listen()
	taps.serve(late, "r1", "127.0.0.1:0")
	if _, err := late.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a tap listens after it was closed: %v", err)
	}
}
