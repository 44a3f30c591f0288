package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/governance"
	"coulisse/protocol/pinned"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Office is the co-operative's office: whoever holds the operator's folder. It
// sees how the replicas are and issues enrolment tokens, and no more.
type Office struct {
	dir   string
	card  Card
	creds credential
}

// OpenOffice reads the operator's folder. It dials nothing yet.
func OpenOffice(dir string) (*Office, error) {
	text, err := os.ReadFile(filepath.Join(dir, FileCard))
	if err != nil {
		return nil, protocol.Refuse(ErrFolder,
			"le dossier %s n'est pas celui du bureau; `coulisse coordinator init` en a fait un, nommé operator; indiquez-le avec --dir",
			"the folder %s is not the office's; `coulisse coordinator init` made one, named operator; name it with --dir", dir)
	}
	o := &Office{dir: dir}
	if o.card, err = protocol.DecodeFile[Card](text); err != nil {
		return nil, damaged(FileCard, err)
	}
	if len(o.card.Replicas) != len(o.card.Addresses) {
		return nil, damaged(FileCard, protocol.ErrMalformed)
	}
	o.creds, err = openCredential(dir)
	return o, err
}

// ReplicaStatus is a replica as the office sees it.
type ReplicaStatus struct {
	ID      protocol.ReplicaID `json:"id"`
	Address consensus.Address  `json:"address"`
	// Error is why it did not answer; what follows is empty then.
	Error string `json:"error,omitempty"`
	// Denied says that it answered, and does not let the office in.
	Denied    bool   `json:"denied,omitempty"`
	State     string `json:"state,omitempty"` // leader, follower, candidate or stopped
	Leader    string `json:"leader,omitempty"`
	Term      uint64 `json:"term,omitempty"`
	Applied   uint64 `json:"applied_index,omitempty"`
	LogSize   int64  `json:"log_size"`
	LogRoot   string `json:"log_root,omitempty"`
	StateHash string `json:"state_hash,omitempty"`
	Version   string `json:"version,omitempty"`
	Rules     int    `json:"rules,omitempty"` // the newest that it knows
	InForce   int    `json:"rules_in_force,omitempty"`
	NoRoom    bool   `json:"no_room,omitempty"`
	// Clock is the time at its machine, and Stamp what it would date an entry.
	Clock       protocol.Millis `json:"clock,omitempty"`
	Stamp       protocol.Millis `json:"stamp,omitempty"`
	Certificate protocol.Millis `json:"certificate_until,omitempty"`
	// Authority is what it issues certificates by, and Former what still counts
	// beside it.
	Authority      protocol.Hash   `json:"authority,omitzero"`
	AuthorityUntil protocol.Millis `json:"authority_until,omitempty"`
	Former         protocol.Hash   `json:"former_authority,omitzero"`

	roll protocol.Roll // in force, as it knows
	err  error
}

// answer bounds how long a replica may take.
const answer = 5 * time.Second

// Status asks every replica how it is, all at once.
func (o *Office) Status(ctx context.Context) []ReplicaStatus {
	all := make([]ReplicaStatus, len(o.card.Addresses))
	var asking sync.WaitGroup
	for i, address := range o.card.Addresses {
		all[i] = ReplicaStatus{ID: o.card.Replicas[i].ID, Address: address}
		asking.Go(func() { o.ask(ctx, &all[i]) })
	}
	asking.Wait()
	return listed(all)
}

// listed leaves out who does not answer and is no longer on the newest roll that
// somebody knows: the members, or another office, have changed it since this
// one's card was written.
func listed(all []ReplicaStatus) []ReplicaStatus {
	var newest protocol.Roll
	for _, s := range all {
		if s.roll.Number > newest.Number {
			newest = s.roll
		}
	}
	if newest.Number == 0 {
		return all
	}
	for i, s := range all {
		if s.Error == "" { // one that is behind does not know yet
			all[i].Former = former(newest, s.ID)
		}
	}
	return slices.DeleteFunc(all, func(s ReplicaStatus) bool { return s.Error != "" && !onRoll(newest, s.ID) })
}

func (o *Office) ask(ctx context.Context, s *ReplicaStatus) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	err := o.call(s.Address, func(stub wire.CoordinatorClient) error {
		var at peer.Peer
		reply, err := stub.Status(ctx, &wire.StatusRequest{}, grpc.Peer(&at))
		if err != nil {
			return err
		}
		if protocol.ReplicaID(reply.GetReplica()) != s.ID {
			return fmt.Errorf("another replica answers there: %s", reply.GetReplica())
		}
		s.State, s.Leader, s.Term, s.Applied = reply.GetState(), reply.GetLeader(), reply.GetTerm(), reply.GetAppliedIndex()
		s.LogSize, s.LogRoot, s.StateHash, s.Version = reply.GetLogSize(), reply.GetLogRoot(), reply.GetStateHash(), reply.GetVersion()
		s.Rules, s.NoRoom = int(reply.GetRules()), reply.GetNoRoom()
		s.Clock, s.Stamp = protocol.Millis(reply.GetNowMs()), protocol.Millis(reply.GetLogMs())
		if current, err := protocol.Decode[protocol.Roll](reply.GetRoll()); err == nil {
			s.roll = current
			s.InForce = current.Rules
		}
		_ = s.Authority.UnmarshalText([]byte(reply.GetAuthority())) // none if it cannot issue
		s.AuthorityUntil = protocol.Millis(reply.GetAuthorityMs())
		if info, ok := at.AuthInfo.(credentials.TLSInfo); ok {
			s.Certificate = protocol.At(info.State.PeerCertificates[0].NotAfter)
		}
		return nil
	})
	if err != nil {
		s.Error, s.Denied, s.err = err.Error(), isDenial(err), err
	}
}

// former is the authority before a replica's present one, while it counts.
func former(current protocol.Roll, id protocol.ReplicaID) protocol.Hash {
	for _, r := range current.Replicas {
		if r.ID == id {
			return r.Former
		}
	}
	return protocol.Hash{}
}

// call makes one call to one replica.
func (o *Office) call(address consensus.Address, do func(wire.CoordinatorClient) error) error {
	return call(address, pinned.Dial(o.trusts, func() *tls.Certificate { return &o.creds.certificate }), do)
}

// trusts tells whether it is the key of a replica that the office knows.
func (o *Office) trusts(key protocol.Hash) bool {
	return slices.ContainsFunc(o.card.Replicas, func(r protocol.Replica) bool { return r.TLS == key })
}

// call makes one call to one replica.
func call(address consensus.Address, config *tls.Config, do func(wire.CoordinatorClient) error) error {
	conn, err := grpc.NewClient(string(address), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return err
	}
	defer conn.Close()
	err = do(wire.NewCoordinatorClient(conn))
	if code := status.Code(err); code == codes.Unauthenticated || code == codes.PermissionDenied {
		return denial{refusal.FromStatus(err)}
	}
	return refusal.FromStatus(err)
}

// denial is the answer that the caller may not make this call.
type denial struct{ error }

func (d denial) Unwrap() error { return d.error }

func isDenial(err error) bool {
	var d denial
	return errors.As(err, &d)
}

// anywhere calls the replicas one after the other until one does it.
func (o *Office) anywhere(ctx context.Context, do func(context.Context, wire.CoordinatorClient) error) error {
	var last error
	for _, address := range o.card.Addresses {
		last = o.call(address, func(stub wire.CoordinatorClient) error {
			ctx, cancel := context.WithTimeout(ctx, answer)
			defer cancel()
			return do(ctx, stub)
		})
		if !errors.Is(last, refusal.ErrNotLeader) && !errors.Is(last, refusal.ErrUnavailable) {
			return last
		}
	}
	return errNobody
}

var errNobody = protocol.Refuse(refusal.ErrUnavailable,
	"aucune réplique ne dirige ni ne répond; `coulisse coordinator status` dit pourquoi",
	"no replica leads and answers; `coulisse coordinator status` says why")

// IssueToken makes an enrolment token for a member.
func (o *Office) IssueToken(ctx context.Context, member protocol.MemberID, valid time.Duration) (token protocol.EnrolmentToken, until protocol.Millis, err error) {
	founding, err := o.Founding(ctx)
	if err != nil {
		return token, 0, err
	}
	federation, err := founding.Genesis.ID()
	if err != nil {
		return token, 0, err
	}
	token = protocol.EnrolmentToken{Member: member, Federation: federation, Route: o.card.route()}
	err = o.anywhere(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		reply, err := stub.IssueToken(ctx, &wire.IssueTokenRequest{Member: string(member), ValidSeconds: int64(valid / time.Second)})
		token.Secret, until = reply.GetTokenSecret(), protocol.Millis(reply.GetUntilMs())
		return err
	})
	return token, until, err
}

// Founding is the federation's founding: the folder's own copy, or the first
// entry of the log, which is kept from then on. It is believed only under the
// signatures of all founders and for this coordinator.
func (o *Office) Founding(ctx context.Context) (founding protocol.Founding, err error) {
	path := filepath.Join(o.dir, fileFounding)
	text, err := os.ReadFile(path)
	if err == nil {
		if founding, err = protocol.DecodeFile[protocol.Founding](text); err != nil {
			return founding, damaged(fileFounding, err)
		}
		return founding, o.checkFounding(founding)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return founding, err
	}
	err = o.anywhere(ctx, func(ctx context.Context, stub wire.CoordinatorClient) (err error) {
		founding, err = firstEntry(ctx, stub)
		return err
	})
	if err != nil {
		return founding, err
	}
	if err := o.checkFounding(founding); err != nil {
		return founding, err
	}
	if text, err = protocol.Indented(founding); err != nil {
		return founding, err
	}
	return founding, durable.WriteFile(path, text)
}

func firstEntry(ctx context.Context, stub wire.CoordinatorClient) (protocol.Founding, error) {
	stream, err := stub.Follow(ctx, &wire.FollowRequest{})
	if err != nil {
		return protocol.Founding{}, err
	}
	reply, err := stream.Recv()
	if err != nil {
		return protocol.Founding{}, err
	}
	entry, err := protocol.Decode[protocol.Entry](reply.GetEntry())
	if err != nil {
		return protocol.Founding{}, err
	}
	return protocol.Decode[protocol.Founding](entry.Doc)
}

func (o *Office) checkFounding(f protocol.Founding) error {
	view, err := governance.Begin(f)
	if err != nil {
		return err
	}
	first := o.card.Roll == 0 && !slices.Equal(view.Genesis.Replicas, o.card.Replicas)
	if first || view.Charter.Namespace != o.card.Namespace {
		return errOtherCoordinator
	}
	return nil
}

// RenewOffice gives the operator's folder a new certificate out of a replica's
// folder, which holds an authority. The folder may be a new one.
func RenewOffice(ctx context.Context, replicaDir, officeDir string, now time.Time) error {
	r, err := Open(Config{Dir: replicaDir})
	if err != nil {
		return err
	}
	r.hearOwn(ctx) // its folder may not know yet that the authority is another
	ca, err := r.issuing()
	if err != nil {
		return err
	}
	return createOperator(officeDir, ca, now)
}
