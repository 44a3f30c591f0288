package rpc

import (
	"context"
	"errors"
	"io"

	"coulisse/coordinator/relay"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// Relay implements wire.CoordinatorServer. The sender's name is the one in its
// certificate. The stream ends with this replica's leadership.
func (s *Service) Relay(stream grpc.BidiStreamingServer[wire.Parcel, wire.Parcel]) error {
	reign, err := s.Leadership.Lead()
	if err != nil {
		return s.refuse(err)
	}
	me := callingMember(stream.Context())
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(reign, func() { cancel(refusal.ErrUnavailable) })()
	// Ends when the stream does: Recv fails once the handler has returned.
	go func() { cancel(s.accept(stream, me)) }()
	err = s.Config.Relay.Receive(ctx, me, func(p relay.Parcel) error {
		return stream.Send(&wire.Parcel{From: string(p.From), To: string(me), Sealed: p.Sealed})
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, io.EOF) {
		return nil // the node has sent all it wanted, and left
	}
	return s.refuse(err)
}

// accept takes parcels from one node. A full mailbox loses the parcel: its
// sender repeats what is not answered.
func (s *Service) accept(stream grpc.BidiStreamingServer[wire.Parcel, wire.Parcel], me protocol.MemberID) error {
	for {
		parcel, err := stream.Recv()
		if err != nil {
			return err
		}
		to := protocol.MemberID(parcel.GetTo())
		if err := s.Log.View(func(tx federation.Tx) error { return s.inStanding(tx, to, wire.Coordinator_Relay_FullMethodName) }); err != nil {
			return errAddressee
		}
		err = s.Config.Relay.Send(relay.Parcel{From: me, To: to, Sealed: parcel.GetSealed()})
		if err != nil && !errors.Is(err, relay.ErrFull) {
			return err
		}
	}
}
