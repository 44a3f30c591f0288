package coordinator

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/coordinator/duties"
	"coulisse/coordinator/matcher"
	"coulisse/coordinator/metrics"
	"coulisse/coordinator/notary"
	"coulisse/coordinator/relay"
	"coulisse/coordinator/rpc"
	"coulisse/coordinator/sequencer"
	"coulisse/coordinator/state"
	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/pinned"
	"coulisse/protocol/telemetry"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// parts are what a running replica is made of.
type parts struct {
	mux     *consensus.Mux
	node    *consensus.Node
	lead    *leadership
	clock   *clock
	roll    roll
	hub     *relay.Hub
	duty    *duties.Duties
	service *rpc.Service
	figures *metrics.Metrics
	server  *grpc.Server
	door    *door
}

// Run serves until ctx ends: it then ends its streams, hands leadership over,
// lets the other calls finish, and returns nil.
func (r *Replica) Run(ctx context.Context) error {
	if err := r.renew(); err != nil {
		return err
	}
	matching, err := matcher.Open(matcher.Config{Folder: filepath.Join(r.cfg.Dir, dirRounds), Quota: r.cfg.Quota, Memory: r.cfg.Memory})
	if err != nil {
		return err
	}
	machine, err := state.New()
	if err != nil {
		return err
	}
	defer machine.Close()
	listener, err := r.listen()
	if err != nil {
		return err
	}
	p, err := r.assemble(listener, machine, matching)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return r.operate(ctx, p)
}

var errListen = errors.New("the port cannot be opened")

func (r *Replica) listen() (net.Listener, error) {
	address := cmp.Or(r.cfg.Listen, string(r.settings.Address()))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, protocol.Refuse(errListen,
			"l'adresse %s ne peut pas être ouverte (%v)", "the address %s cannot be opened (%v)", address, err)
	}
	return listener, nil
}

func (r *Replica) assemble(listener net.Listener, machine *state.State, matching *matcher.Matcher) (*parts, error) {
	p := &parts{hub: relay.New()}
	var err error
	if p.mux, err = r.share(listener, &p.roll); err != nil {
		return nil, err
	}
	if p.node, err = r.join(p.mux, machine); err != nil {
		return nil, err
	}
	p.clock = newClock(r.cfg.Now, r.cfg.Logger)
	p.clock.others = func(ctx context.Context) []reading { return r.otherClocks(ctx, p.clock, p.roll.now()) }
	p.lead = &leadership{node: p.node, clock: p.clock}
	log := sequencer.New(p.lead, machine, r.settings.ID, r.key, p.clock.now)
	r.trust.view = log.View
	p.roll.self, p.roll.node, p.roll.view, p.roll.grown = r.settings.ID, p.node, log.View, log.Grown
	p.roll.progress, p.roll.review, p.roll.kept = r.appliedAt, p.mux.Review, r.trust.keep
	p.roll.failed = func(err error) {
		r.cfg.Logger.Warn("the list of replicas will be changed a little later", "reason", err)
	}
	p.duty = duties.New(duties.Config{
		Log: log, Matcher: matching, Founding: r.founding, Logger: r.cfg.Logger, Now: p.clock.now,
	})
	p.service = rpc.New(rpc.Config{
		Trust: r.trust.of(r.settings.Namespace), Issuing: r.issuing, NextAuthority: r.issuer.prepare,
		Log: log, Leadership: p.lead, Relay: p.hub, CheckRoll: p.roll.check, Admits: p.roll.admits,
		Matcher: matching, Notary: notary.New(log, p.clock.now), Version: r.cfg.Version, Logger: r.cfg.Logger, Now: r.cfg.Now,
	})
	p.figures = metrics.New(metrics.Sources{
		Status: p.node.Status, View: log.View, Relayed: p.hub.Held, Matching: matching.Held, SlowestWrite: p.node.SlowestWrite,
	})
	p.door = newDoor(consensus.ServerCredentials(), r.trust.of(r.settings.Namespace).Identify)
	p.server = grpc.NewServer(append(p.service.Options(), grpc.Creds(p.door), grpc.UnaryInterceptor(p.figures.Intercept), telemetry.Server())...)
	p.service.RegisterHealth(p.server)
	wire.RegisterCoordinatorServer(p.server, p.service)
	return p, nil
}

// share puts consensus and gRPC on one port.
func (r *Replica) share(listener net.Listener, current *roll) (*consensus.Mux, error) {
	return consensus.NewMux(consensus.MuxConfig{
		Listener: listener,
		TLS: &tls.Config{
			GetCertificate:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return r.certificate.now(), nil },
			VerifyConnection: func(s tls.ConnectionState) error { return authority.Check(s, r.cfg.Now()) },
		},
		Dial: pinned.Dial(r.trust.isReplica, r.certificate.now),
		AuthorizeRaft: func(s tls.ConnectionState) error {
			party, err := r.trust.of(r.settings.Namespace).Identify(s)
			if err != nil || party.Role != authority.Replica || !current.admits(protocol.ReplicaID(party.Name)) {
				return authority.ErrParty
			}
			return nil
		},
		Address: r.settings.Address(), Logger: r.cfg.Logger,
	})
}

var errLogGone = protocol.Refuse(ErrLost,
	"le journal de cette réplique a disparu de son dossier; laissez-la arrêtée et remplacez-la; les autres répliques continuent sans elle; si la majorité est perdue, voyez `coulisse coordinator restore`",
	"this replica's log is gone from its folder; leave it stopped and replace it; the other replicas go on without it; if the majority is lost, see `coulisse coordinator restore`")

// join opens the replica's part in consensus. The first time it notes that it
// has joined: from then on an empty folder is a lost one.
func (r *Replica) join(mux *consensus.Mux, machine *state.State) (*consensus.Node, error) {
	dir, joined := filepath.Join(r.cfg.Dir, dirRaft), filepath.Join(r.cfg.Dir, fileJoined)
	_, errJoined := os.Stat(joined)
	log, err := os.Stat(filepath.Join(dir, fileRaftLog))
	// A log of no bytes would pass for a new one.
	if errJoined == nil && (errors.Is(err, fs.ErrNotExist) || err == nil && log.Size() == 0) {
		return nil, errLogGone
	}
	node, err := consensus.New(consensus.Config{
		ID: r.settings.ID, Dir: dir, Streams: mux.Raft(), State: machine,
		Logger: r.cfg.Logger, Peers: r.founders(), Timing: r.cfg.Timing,
	})
	if errors.Is(err, consensus.ErrCorrupt) {
		return nil, protocol.Refuse(ErrLost,
			"le journal de cette réplique est endommagé (%v); laissez-la arrêtée, gardez son dossier, et vérifiez son disque; les autres répliques continuent sans elle",
			"this replica's log is damaged (%v); leave it stopped, keep its folder, and check its disk; the other replicas go on without it", err)
	}
	if err != nil {
		return nil, err
	}
	if errJoined != nil {
		if err := durable.WriteFile(joined, []byte(joinedText)); err != nil {
			return nil, errors.Join(err, node.Close())
		}
	}
	return node, nil
}

// duties are what the leader does until ctx ends.
func (p *parts) duties(ctx context.Context) {
	var working sync.WaitGroup
	working.Go(func() { p.duty.Run(ctx) })
	working.Go(func() { p.roll.keep(ctx) })
	working.Wait()
}

// grace is how long calls under way may take when the replica stops.
const grace = 5 * time.Second

// operate starts the parts and stops them in reverse: the leader's duties,
// leadership, the calls under way, the port.
func (r *Replica) operate(ctx context.Context, p *parts) error {
	// Consensus and the port outlive ctx, so that leadership can be handed over.
	background := context.WithoutCancel(ctx)
	portCtx, closePort := context.WithCancel(background)
	consensusCtx, stopConsensus := context.WithCancel(background)
	dutyCtx, stopDuty := context.WithCancel(background)
	defer closePort()
	defer stopConsensus()
	defer stopDuty()

	failed := make(chan error, 6)
	var port, agreeing, working sync.WaitGroup
	port.Go(func() {
		if err := r.tellHealth(portCtx, p.node, p.figures); err != nil {
			failed <- err
		}
	})
	port.Go(func() { failed <- p.mux.Run(portCtx) })
	port.Go(func() { failed <- p.server.Serve(p.mux.GRPC()) })
	port.Go(func() { failed <- serveResources(portCtx, p.mux, p.service, p.door) })
	agreeing.Go(func() { failed <- p.node.Run(consensusCtx) })
	working.Go(func() { p.lead.run(dutyCtx, p.duties, p.hub.Forget) })
	working.Go(func() {
		if err := p.roll.gone(dutyCtx); err != nil {
			failed <- err
		}
	})
	working.Go(func() { r.keepRenewing(dutyCtx) })
	r.cfg.Logger.InfoContext(ctx, "the replica serves", "replica", r.settings.ID, "address", r.settings.Address())

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopDuty()
	working.Wait()
	p.service.Drain()
	stopConsensus()
	agreeing.Wait()
	stopServer(p.server)
	closePort()
	port.Wait()
	r.cfg.Logger.InfoContext(ctx, "the replica has stopped", "replica", r.settings.ID)
	return err
}

// stopServer lets calls finish for a while, then ends them.
func stopServer(server *grpc.Server) {
	late := time.AfterFunc(grace, server.Stop)
	defer late.Stop()
	server.GracefulStop()
}

// founders is the list that a new coordinator begins with. A replica that is
// let in later brings none: it takes the list from those that are there.
func (r *Replica) founders() []consensus.Peer {
	if r.settings.Joins {
		return nil
	}
	return r.settings.Peers
}
