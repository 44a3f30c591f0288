package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coulisse/coordinator"
	"coulisse/deploy/demo/houses"
	"coulisse/node/api"
	"coulisse/protocol"
)

// replicaCount survives the loss of one.
const replicaCount = 3

// Names in the demonstration's folder.
const (
	dirCoordinator = "coordinator"
	dirOffice      = "coordinator/operator"
	dirLogs        = "logs"
)

// Federation is the demonstration's processes: the coordinator's replicas and
// the members' nodes, in one folder. Its methods may be called concurrently.
type Federation struct {
	Dir      string
	Replicas []*Process
	Nodes    []*Process // in the order of [houses.All]

	shell   *shell
	starter *starter
	// ctx ends, with the reason, when a process stops without being told to.
	ctx     context.Context
	fail    context.CancelCauseFunc
	clients map[protocol.MemberID]*api.Client
	// ports are kept until the replicas take them.
	ports []net.Listener
}

func newFederation(ctx context.Context, dir, program, lang string) (*Federation, error) {
	f := &Federation{Dir: dir, starter: newStarter(), clients: map[protocol.MemberID]*api.Client{}}
	f.ctx, f.fail = context.WithCancelCause(ctx)
	var err error
	if f.shell, err = newShell(dir, program, lang, f.starter); err != nil {
		return nil, errors.Join(err, f.close())
	}
	for _, sub := range []string{dirCoordinator, dirLogs} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	for i := range replicaCount {
		port, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.ports = append(f.ports, port)
		name := fmt.Sprintf("r%d", i+1)
		f.Replicas = append(f.Replicas, &Process{
			Name: name, Log: logName(name),
			args: []string{"coordinator", "serve", filepath.Join(dirCoordinator, name)},
		})
	}
	for _, house := range houses.All() {
		name := string(house.ID)
		f.clients[house.ID] = api.NewClient(filepath.Join(dir, name, "node.sock"))
		f.Nodes = append(f.Nodes, &Process{Name: name, Log: logName(name), args: []string{"node", "serve", "--dir", name}})
	}
	return f, nil
}

func logName(process string) string { return filepath.Join(dirLogs, process+".log") }

// addresses are where the replicas will listen.
func (f *Federation) addresses() []string {
	var all []string
	for _, port := range f.ports {
		all = append(all, port.Addr().String())
	}
	return all
}

// release gives the ports to whoever listens next.
func (f *Federation) release() {
	for _, port := range f.ports {
		_ = port.Close() // nobody ever connected
	}
}

// Start runs a process, the first time or again.
func (f *Federation) Start(p *Process) error {
	if err := f.shell.note(f.shell.line(p.args) + " 2>> " + p.Log + " &"); err != nil {
		return err
	}
	return p.start(f.starter, f.shell.program, f.Dir, f.shell.env, f.fail)
}

// Kill ends a process as a power cut would.
func (f *Federation) Kill(p *Process) { p.kill() }

// Run runs a command of the program in the demonstration's folder, and returns
// what it printed.
func (f *Federation) Run(ctx context.Context, args ...string) (string, error) {
	return f.shell.run(ctx, nil, args...)
}

// as runs a member's command.
func (f *Federation) as(ctx context.Context, member protocol.MemberID, args ...string) (string, error) {
	return f.Run(ctx, append(args, "--dir", string(member))...)
}

// Times that processes have to end by themselves.
const (
	nodePatience    = 3 * time.Second
	replicaPatience = 4 * time.Second
)

// close ends every process, the nodes before what they talk to, and waits
// until they have ended.
func (f *Federation) close() error {
	stopAll(f.Nodes, nodePatience)
	stopAll(f.Replicas, replicaPatience)
	f.release()
	f.fail(nil)
	f.starter.close()
	if f.shell == nil {
		return nil
	}
	return f.shell.close()
}

func stopAll(processes []*Process, patience time.Duration) {
	var stopping sync.WaitGroup
	for _, p := range processes {
		stopping.Go(func() { p.stop(patience) })
	}
	stopping.Wait()
}

// ask asks a member's running node over its local interface, as the command
// line does; it serves to look while something takes its time.
func (f *Federation) ask(member protocol.MemberID) *api.Client { return f.clients[member] }

// ignoreFault passes over what a node does not know yet.
func ignoreFault(err error) error {
	var fault *api.Fault
	if errors.As(err, &fault) {
		return nil
	}
	return err
}

// Leader is the replica that leads, as the office sees it; nil when none does.
func (f *Federation) Leader(ctx context.Context) (*Process, error) {
	var answer struct {
		Replicas []coordinator.ReplicaStatus `json:"replicas"`
	}
	out, err := f.Run(ctx, "coordinator", "status", "--dir", dirOffice, "--json")
	if err := ignoreRefusal(err); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return nil, fmt.Errorf("read the coordinator's status: %w", err)
	}
	for i, replica := range answer.Replicas {
		if replica.State == "leader" {
			return f.Replicas[i], nil
		}
	}
	return nil, nil
}
