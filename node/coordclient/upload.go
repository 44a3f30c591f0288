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

// uploadChunk is how many bytes of an upload travel in one message.
const uploadChunk = 256 << 10

// Upload sends one source's bytes to the matcher and returns once it has
// stored them. It makes one attempt at the leader: the caller knows whether
// the round still wants them.
func (c *Client) Upload(ctx context.Context, round protocol.RoundID, source protocol.SourceName, upload io.Reader) error {
	return c.tryLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		stream, err := stub.Upload(ctx)
		if err != nil {
			return err
		}
		header := &wire.UploadHeader{Round: string(round), Source: string(source)}
		if err := sendChunks(stream, header, upload); err != nil {
			return err
		}
		_, err = stream.CloseAndRecv()
		return err
	})
}

func sendChunks(stream grpc.ClientStreamingClient[wire.UploadRequest, wire.UploadReply], header *wire.UploadHeader, upload io.Reader) error {
	request := &wire.UploadRequest{Header: header}
	chunk := make([]byte, uploadChunk)
	for {
		n, err := io.ReadFull(upload, chunk)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return fmt.Errorf("read the upload: %w", err)
		}
		request.Chunk = chunk[:n]
		// A refused stream fails here with io.EOF; CloseAndRecv has the reason.
		if err := stream.Send(request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if end {
			return nil
		}
		request = &wire.UploadRequest{}
	}
}

// Collect writes the labels of a recipient's own source to w.
func (c *Client) Collect(ctx context.Context, round protocol.RoundID, source protocol.SourceName, w io.Writer) error {
	return c.tryLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		stream, err := stub.Collect(ctx, &wire.CollectRequest{Round: string(round), Source: string(source)})
		if err != nil {
			return err
		}
		for {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := w.Write(reply.GetChunk()); err != nil {
				return fmt.Errorf("keep the labels: %w", err)
			}
		}
	})
}
