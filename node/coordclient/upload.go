package coordclient

import (
	"context"
	"errors"
	"fmt"
	"io"

	"coulisse/protocol"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// uploadChunk is how many bytes of an upload travel in one message: a frame of
// HTTP/2. A connection that breaks costs the message that was on it, so one that
// never lives for more than this brings an upload no further.
const uploadChunk = 16 << 10

// resumed makes attempts at the leader as long as each gets further than the one
// before: attempt says where it began, or a negative number.
func (c *Client) resumed(ctx context.Context, attempt func(context.Context, wire.CoordinatorClient) (int64, error)) error {
	last := int64(-1)
	for {
		from := int64(-1)
		err := c.patiently(ctx, func() error {
			return c.tryLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) (err error) {
				from, err = attempt(ctx, stub)
				return err
			})
		})
		if err == nil || !goesOn(err) || from <= last {
			return err
		}
		last = from
	}
}

// Upload sends one source's bytes to the matcher and returns once it has
// stored them. A broken connection is resumed as long as the leader takes more
// on each; after that, and after any other failure, the caller knows whether the
// round still wants them.
func (c *Client) Upload(ctx context.Context, round protocol.RoundID, source protocol.SourceName, upload io.ReadSeeker) error {
	header := &wire.UploadHeader{Round: string(round), Source: string(source)}
	return c.resumed(ctx, func(ctx context.Context, stub wire.CoordinatorClient) (int64, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := stub.Upload(ctx)
		if err != nil {
			return -1, err
		}
		if err := stream.Send(&wire.UploadRequest{Header: header}); err != nil && !errors.Is(err, io.EOF) {
			return -1, err
		}
		begin, err := stream.Recv() // has the reason if Send has not
		if err != nil || begin.GetAlready() {
			return -1, err
		}
		return begin.GetFrom(), send(stream, upload, begin.GetFrom())
	})
}

// send sends the bytes from a place on, and waits until they are stored.
func send(stream grpc.BidiStreamingClient[wire.UploadRequest, wire.UploadReply], upload io.ReadSeeker, from int64) error {
	if _, err := upload.Seek(from, io.SeekStart); err != nil {
		return fmt.Errorf("read the upload: %w", err)
	}
	chunk := make([]byte, uploadChunk)
	for {
		n, err := io.ReadFull(upload, chunk)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return fmt.Errorf("read the upload: %w", err)
		}
		err = stream.Send(&wire.UploadRequest{Chunk: chunk[:n]})
		if err == nil && end {
			err = stream.CloseSend()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if end || err != nil { // a refused stream fails with io.EOF; Recv has the reason
			break
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Collect writes the labels of a recipient's own source to w. They are the same
// from every leader, so a broken connection is resumed.
func (c *Client) Collect(ctx context.Context, round protocol.RoundID, source protocol.SourceName, w io.Writer) error {
	written := int64(0)
	return c.resumed(ctx, func(ctx context.Context, stub wire.CoordinatorClient) (int64, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		from := written
		stream, err := stub.Collect(ctx, &wire.CollectRequest{Round: string(round), Source: string(source), From: from})
		if err != nil {
			return from, err
		}
		for {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return from, nil
			}
			if err != nil {
				return from, err
			}
			n, err := w.Write(reply.GetChunk())
			if written += int64(n); err != nil {
				return from, fmt.Errorf("keep the labels: %w", err)
			}
		}
	})
}
