package coordinator

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"coulisse/coordinator/authority"

	"google.golang.org/grpc/credentials"
)

// Bounds on gRPC connections. Consensus has its own way in, so a crowd here
// does not part the replicas.
const (
	maxConnections = 4096
	maxOfParty     = 32
	maxOfStrangers = 128
)

var errCrowded = errors.New("too many connections")

// door counts the connections that are open, in all and by party, and closes
// those over the bound.
type door struct {
	credentials.TransportCredentials
	identify func(tls.ConnectionState) (authority.Party, error)

	// mu guards the counts.
	mu      sync.Mutex
	open    int
	byParty map[authority.Party]int
}

func newDoor(inner credentials.TransportCredentials, identify func(tls.ConnectionState) (authority.Party, error)) *door {
	return &door{TransportCredentials: inner, identify: identify, byParty: map[authority.Party]int{}}
}

// whose is among whose connections one counts. A certificate that does not
// count is told so when it makes a call, and is a stranger's until then: it
// takes no place from whoever it names.
func (d *door) whose(state tls.ConnectionState) authority.Party {
	party, err := d.identify(state)
	if err != nil && !errors.Is(err, authority.ErrRetired) || party.Role == "" {
		return authority.Party{Role: authority.Anyone}
	}
	return party
}

// ServerHandshake implements credentials.TransportCredentials.
func (d *door) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	secured, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, nil, authority.ErrParty
	}
	party := d.whose(secured.State)
	if !d.enter(party) {
		return nil, nil, errCrowded
	}
	return &visitor{Conn: conn, leave: sync.OnceFunc(func() { d.leave(party) })}, info, nil
}

// Clone implements credentials.TransportCredentials. The counts are shared.
func (d *door) Clone() credentials.TransportCredentials { return d }

func (d *door) enter(p authority.Party) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	most := maxOfParty
	if p.Role == authority.Anyone {
		most = maxOfStrangers
	}
	if d.open >= maxConnections || d.byParty[p] >= most {
		return false
	}
	d.open++
	d.byParty[p]++
	return true
}

func (d *door) leave(p authority.Party) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if d.byParty[p]--; d.byParty[p] == 0 {
		delete(d.byParty, p)
	}
}

// visitor is a counted connection.
type visitor struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (v *visitor) Close() error {
	v.leave()
	return v.Conn.Close()
}
