package coordclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

func TestSubmitFindsTheLeader(t *testing.T) {
	office := newOffice(t)
	leader := office.replica(t)
	leader.submit = func(context.Context) (*wire.SubmitReply, error) { return &wire.SubmitReply{Seq: 7}, nil }
	follower, gone := office.replica(t), office.replica(t)
	gone.stop()
	for name, hint := range map[string]string{"a hint": leader.address, "no hint": "", "a hint at nobody": gone.address} {
		follower.submit = func(context.Context) (*wire.SubmitReply, error) {
			return nil, refusal.ToStatus(refusal.NotLeader{Address: hint})
		}
		c := office.client(t, gone.address, follower.address, leader.address)
		for range 2 {
			if seq, err := c.Submit(t.Context(), protocol.LabelAck, []byte("{}")); err != nil || seq != 7 {
				t.Errorf("%s: %d %v", name, seq, err)
			}
		}
	}
}

func TestSubmitGoesOn(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	asked := 0
	r.submit = func(context.Context) (*wire.SubmitReply, error) {
		if asked++; asked < 4 {
			return nil, refusal.ToStatus(refusal.ErrUnavailable)
		}
		return nil, refusal.ToStatus(federation.ErrRefused)
	}
	c := office.client(t, r.address)
	if _, err := c.Submit(t.Context(), protocol.LabelAck, nil); !errors.Is(err, federation.ErrRefused) || asked != 4 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	// Nobody is there: it ends when its caller wants it to.
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Submit(ctx, protocol.LabelAck, nil); !errors.Is(err, refusal.ErrUnavailable) {
		t.Error(err)
	}
}

// A renewal of the certificate drops the connections; whoever was asking asks
// again.
func TestReconnectUnderWay(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	waiting := make(chan struct{}, 1)
	first := true
	r.submit = func(ctx context.Context) (*wire.SubmitReply, error) {
		if first {
			first = false
			waiting <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return &wire.SubmitReply{Seq: 3}, nil
	}
	c := office.client(t, r.address)
	done := make(chan error)
	go func() {
		_, err := c.Submit(t.Context(), protocol.LabelAck, nil)
		done <- err
	}()
	<-waiting
	c.Reconnect()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReignIsTheLeadersOwnWord(t *testing.T) {
	office := newOffice(t)
	leader, follower := office.replica(t), office.replica(t)
	leader.status = &wire.StatusReply{Replica: "coord-2", State: "leader", LeaderAddress: "example.org:1", Term: 5}
	follower.status = &wire.StatusReply{Replica: "coord-1", State: "follower", Leader: "coord-2", LeaderAddress: leader.address, Term: 5}
	c := office.client(t, follower.address)
	if reign, err := c.Reign(t.Context()); err != nil || reign != "coord-2/5" {
		t.Errorf("%s %v", reign, err)
	}
	// And without a leader there is none.
	leader.status = &wire.StatusReply{State: "candidate"}
	if _, err := c.Reign(t.Context()); !errors.Is(err, refusal.ErrUnavailable) {
		t.Error(err)
	}
}

// A replica that names a leader at ever new addresses makes the node dial so
// many of them and no more.
func TestEndlessHints(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	n := 0
	r.submit = func(context.Context) (*wire.SubmitReply, error) {
		n++
		return nil, refusal.ToStatus(refusal.NotLeader{Address: fmt.Sprintf("127.0.0.1:%d", 20000+n)})
	}
	c := office.client(t, r.address)
	for range 3 * maxReplicas {
		_ = c.tryEach(t.Context(), func(ctx context.Context, stub wire.CoordinatorClient) error {
			_, err := stub.Submit(ctx, &wire.SubmitRequest{})
			return err
		})
	}
	if len(c.conns) > maxReplicas {
		t.Errorf("%d connections", len(c.conns))
	}
}

// log is what a follower has taken.
type log struct {
	mu    sync.Mutex
	taken []string
}

func (l *log) next() int64 { l.mu.Lock(); defer l.mu.Unlock(); return int64(len(l.taken)) }
func (l *log) take(entry []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken = append(l.taken, string(entry))
	return nil
}

// hand is a Follow that hands out entries from the wanted one to a last one,
// and then ends, or waits.
func hand(to int64, wait bool) func(*wire.FollowRequest, grpc.ServerStreamingServer[wire.FollowReply]) error {
	return func(req *wire.FollowRequest, stream grpc.ServerStreamingServer[wire.FollowReply]) error {
		for i := req.GetFrom(); i < to; i++ {
			if err := stream.Send(&wire.FollowReply{Entry: fmt.Append(nil, i)}); err != nil {
				return err
			}
		}
		if wait {
			<-stream.Context().Done()
		}
		return refusal.ToStatus(refusal.ErrUnavailable)
	}
}

var errEnough = errors.New("enough")

func TestFollowGoesOnWhereItWas(t *testing.T) {
	office := newOffice(t)
	one, two, gone := office.replica(t), office.replica(t), office.replica(t)
	one.follow, two.follow = hand(3, false), hand(6, false)
	gone.stop()
	c := office.client(t, gone.address, one.address, two.address)
	var l log
	err := c.Follow(t.Context(), l.next, func(entry []byte) error {
		if l.next() == 5 {
			return errEnough
		}
		return l.take(entry)
	})
	if !errors.Is(err, errEnough) || strings.Join(l.taken, " ") != "0 1 2 3 4" {
		t.Errorf("%q %v", l.taken, err)
	}
}

// A replica that was cut off from the others answers and has nothing new.
func TestFollowLeavesAReplicaThatIsBehind(t *testing.T) {
	office := newOffice(t)
	stuck, leader := office.replica(t), office.replica(t)
	stuck.status = &wire.StatusReply{State: "follower"}
	leader.status = &wire.StatusReply{State: "leader", LogSize: 6}
	stuck.follow, leader.follow = hand(3, true), hand(6, true)
	c := office.client(t, stuck.address, leader.address)
	c.cfg.LookAround = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var l log
	err := c.Follow(ctx, l.next, func(entry []byte) error {
		if l.next() == 5 {
			cancel()
		}
		return l.take(entry)
	})
	if ctx.Err() == nil || err == nil || len(l.taken) != 6 {
		t.Errorf("%q %v", l.taken, err)
	}
}

// The genesis of a large federation is larger than gRPC takes by itself; a
// parcel may not be.
func TestSizes(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	large := make([]byte, 9<<20)
	r.follow = func(_ *wire.FollowRequest, stream grpc.ServerStreamingServer[wire.FollowReply]) error {
		return stream.Send(&wire.FollowReply{Entry: large})
	}
	r.status = &wire.StatusReply{State: "leader"}
	r.relay = func(stream grpc.BidiStreamingServer[wire.Parcel, wire.Parcel]) error {
		return stream.Send(&wire.Parcel{Sealed: large})
	}
	c := office.client(t, r.address)
	err := c.Follow(t.Context(), func() int64 { return 0 }, func(entry []byte) error {
		if len(entry) != len(large) {
			return errors.New("cut")
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Error(err)
	}
	if err := c.relayOnce(t.Context(), func(protocol.MemberID, []byte) { t.Error("received") }); err == nil {
		t.Error("a parcel of any size was taken")
	}
	if err := c.Send(t.Context(), "moulin", large); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("a parcel that would end the stream was queued: %v", err)
	}
}

// While no stream is up, senders are not held up, and the newest letters stay.
func TestSendWithoutARelay(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	r.status = &wire.StatusReply{State: "leader"}
	got := make(chan string, 2*maxWaiting)
	r.relay = func(stream grpc.BidiStreamingServer[wire.Parcel, wire.Parcel]) error {
		for {
			p, err := stream.Recv()
			if err != nil {
				return err
			}
			got <- string(p.GetSealed())
		}
	}
	c := office.client(t, r.address)
	for i := range 2 * maxWaiting {
		if err := c.Send(t.Context(), "moulin", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Relay(ctx, func(protocol.MemberID, []byte) {})
	}()
	for i := maxWaiting; i < 2*maxWaiting; i++ {
		if p := <-got; p != fmt.Sprint(i) {
			t.Fatalf("letter %s, not %d", p, i)
		}
	}
	cancel()
	<-ended
}

func TestOutboxIsBounded(t *testing.T) {
	c := New(Config{})
	for range 3 * maxBytes / maxParcel {
		if err := c.Send(context.Background(), "moulin", make([]byte, maxParcel)); err != nil {
			t.Fatal(err)
		}
	}
	if c.outbox.bytes > maxBytes || len(c.outbox.parcels) != maxBytes/maxParcel {
		t.Errorf("%d bytes wait", c.outbox.bytes)
	}
}

// The relay's stream ends with its leader, and is opened again at the next.
func TestRelayFollowsTheLeader(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	r.status = &wire.StatusReply{State: "leader"}
	r.relay = func(stream grpc.BidiStreamingServer[wire.Parcel, wire.Parcel]) error {
		p, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := stream.Send(&wire.Parcel{From: p.GetTo(), Sealed: p.GetSealed()}); err != nil {
			return err
		}
		return refusal.ToStatus(refusal.ErrUnavailable) // it leads no more
	}
	c := office.client(t, r.address)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Relay(ctx, func(from protocol.MemberID, sealed []byte) { got <- string(from) + string(sealed) })
	}()
	for i := range 3 {
		want := fmt.Sprint("moulin", i)
		for heard := false; !heard; { // repeated, as every sender does
			if err := c.Send(ctx, "moulin", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
			select {
			case p := <-got:
				heard = p == want
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	cancel()
	<-ended
}

// uploads plays a matcher that keeps what it took, and breaks the connection each
// time that a part more has come.
type uploads struct {
	got   bytes.Buffer
	begun int
	part  int // 0 to take all at once
}

func (u *uploads) serve(stream grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) error {
	u.begun++
	if header, err := stream.Recv(); err != nil || header.GetHeader().GetSource() != "s" || len(header.GetChunk()) != 0 {
		return refusal.ToStatus(protocol.ErrMalformed)
	}
	if err := stream.Send(&wire.UploadReply{From: int64(u.got.Len())}); err != nil {
		return err
	}
	for taken := 0; u.part == 0 || taken < u.part; {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		u.got.Write(p.GetChunk())
		taken += len(p.GetChunk())
	}
	return refusal.ToStatus(refusal.ErrUnavailable)
}

func TestUpload(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	r.status = &wire.StatusReply{State: "leader"}
	content := strings.Repeat("0123456789abcdef", 100_000)
	c := office.client(t, r.address)
	for _, part := range []int{0, 1, 100_000, 1_500_000} {
		u := &uploads{part: part}
		r.upload = u.serve
		if err := c.Upload(t.Context(), "r", "s", strings.NewReader(content)); err != nil || u.got.String() != content {
			t.Errorf("in parts of %d: %d of %d bytes came over %d connections: %v", part, u.got.Len(), len(content), u.begun, err)
		}
	}
	// A matcher that gets no further is not asked for ever.
	stuck := 0
	r.upload = func(stream grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) error {
		stuck++
		return errors.Join(stream.Send(&wire.UploadReply{From: 64 << 10}), refusal.ToStatus(refusal.ErrUnavailable))
	}
	if err := c.Upload(t.Context(), "r", "s", strings.NewReader(content)); !errors.Is(err, refusal.ErrUnavailable) || stuck != 2 {
		t.Errorf("asked %d times: %v", stuck, err)
	}
	// Nor does one that has everything get it again.
	r.upload = func(stream grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) error {
		return stream.Send(&wire.UploadReply{Already: true})
	}
	if err := c.Upload(t.Context(), "r", "s", nil); err != nil {
		t.Error(err)
	}
	// A matcher that wants no more ends it early, and says why.
	r.upload = func(grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) error {
		return refusal.ToStatus(refusal.ErrConflict)
	}
	if err := c.Upload(t.Context(), "r", "s", strings.NewReader(content)); !errors.Is(err, refusal.ErrConflict) {
		t.Error(err)
	}
}
