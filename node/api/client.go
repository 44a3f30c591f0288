package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"coulisse/node"
	"coulisse/node/importer"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/record"

	"github.com/go-json-experiment/json"
)

// Client asks the running node of a folder.
type Client struct{ http http.Client }

var errNotRunning = errors.New("the node is not running")

// NewClient returns a client for the socket at path. It connects when asked
// something.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err != nil && ctx.Err() == nil {
			return nil, errNotRunning
		}
		return conn, err
	}
	return &Client{http: http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConns: 1}}}
}

// call sends a request and returns the body of a good answer.
func (c *Client) call(ctx context.Context, method, path string, content io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+path, content)
	if err != nil {
		return nil, err
	}
	reply, err := c.http.Do(request)
	if errors.Is(err, errNotRunning) {
		return nil, protocol.Refuse(errNotRunning,
			"le nœud de ce dossier n'est pas en marche\u00a0; lancez «\u00a0coulisse node serve\u00a0», ou nommez un autre dossier avec --dir",
			"the node of this folder is not running; start “coulisse node serve”, or name another folder with --dir")
	}
	if err != nil {
		return nil, err
	}
	if reply.StatusCode == http.StatusOK {
		return reply.Body, nil
	}
	defer reply.Body.Close()
	fault := new(Fault)
	raw, err := io.ReadAll(io.LimitReader(reply.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(raw, fault)
	}
	if err != nil || fault.Text.Check() != nil {
		return nil, fmt.Errorf("the node answered %s; is it of the same version as this command?", reply.Status)
	}
	return nil, fault
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return exchange[T](ctx, c, http.MethodGet, path, nil)
}

// send asks with a value as the request.
func send[T any](ctx context.Context, c *Client, method, path string, v any) (T, error) {
	var b bytes.Buffer
	if err := encode(&b, v); err != nil {
		var zero T
		return zero, err
	}
	return exchange[T](ctx, c, method, path, &b)
}

func exchange[T any](ctx context.Context, c *Client, method, path string, content io.Reader) (T, error) {
	var v T
	answer, err := c.call(ctx, method, path, content)
	if err != nil {
		return v, err
	}
	defer answer.Close()
	raw, err := io.ReadAll(io.LimitReader(answer, maxAnswer))
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(raw, &v, encoding); err != nil {
		return v, fmt.Errorf("read the node's answer: %w", err)
	}
	return v, nil
}

// stream asks for lines and hands each to tell.
func stream[T any](ctx context.Context, c *Client, method, path string, content io.Reader, tell func(T) error) error {
	answer, err := c.call(ctx, method, path, content)
	if err != nil {
		return err
	}
	defer answer.Close()
	scanner := bufio.NewScanner(answer)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	for scanner.Scan() {
		if fault := new(Fault); json.Unmarshal(scanner.Bytes(), fault) == nil && fault.Reason != "" && fault.Text.Check() == nil {
			return fault
		}
		var v T
		if err := json.Unmarshal(scanner.Bytes(), &v, encoding); err != nil {
			return fmt.Errorf("read the node's answer: %w", err)
		}
		if err := tell(v); err != nil {
			return err
		}
	}
	return scanner.Err()
}

func at(parts ...string) string {
	path := "/v1"
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// Status asks how the node is.
func (c *Client) Status(ctx context.Context) (node.Status, error) {
	return get[node.Status](ctx, c, at("status"))
}

// Import has a file taken in.
func (c *Client) Import(ctx context.Context, file io.Reader, o importer.Options, tell func(node.ImportEvent) error) error {
	q := url.Values{"kind": {string(o.Kind)}, "file": {o.File}, "region": {o.Region}}
	if !o.AsOf.IsZero() {
		q.Set("as_of", o.AsOf.UTC().Format(time.RFC3339))
	}
	mapping, err := json.Marshal(o.Mapping)
	if err != nil {
		return fmt.Errorf("writing the mapping down: %w", err)
	}
	q.Set("mapping", string(mapping)) // JSON is YAML
	return stream(ctx, c, http.MethodPost, at("imports")+"?"+q.Encode(), file, tell)
}

// Imports lists the files that were taken in.
func (c *Client) Imports(ctx context.Context) ([]warehouse.Import, error) {
	return get[[]warehouse.Import](ctx, c, at("imports"))
}

// Segments lists the segments.
func (c *Client) Segments(ctx context.Context) ([]node.Segment, error) {
	return get[[]node.Segment](ctx, c, at("segments"))
}

// Segment finds one.
func (c *Client) Segment(ctx context.Context, name string) (node.Segment, error) {
	return get[node.Segment](ctx, c, at("segments", name))
}

// SaveSegment keeps one.
func (c *Client) SaveSegment(ctx context.Context, d protocol.Definition, pooled bool) (node.Segment, error) {
	return send[node.Segment](ctx, c, http.MethodPut, at("segments"), SaveSegment{d, pooled})
}

// DeleteSegment forgets one.
func (c *Client) DeleteSegment(ctx context.Context, name string) error {
	_, err := exchange[struct{}](ctx, c, http.MethodDelete, at("segments", name), nil)
	return err
}

// CountSegment counts one.
func (c *Client) CountSegment(ctx context.Context, name string) (Count, error) {
	return get[Count](ctx, c, at("segments", name, "count"))
}

// Policies lists what is in force and what ships.
func (c *Client) Policies(ctx context.Context) ([]node.PolicyLine, error) {
	return get[[]node.PolicyLine](ctx, c, at("policies"))
}

// Policy finds one.
func (c *Client) Policy(ctx context.Context, name string) (node.PolicyPage, error) {
	return get[node.PolicyPage](ctx, c, at("policies", name))
}

// Proposals lists the proposals.
func (c *Client) Proposals(ctx context.Context) ([]node.ProposalLine, error) {
	return get[[]node.ProposalLine](ctx, c, at("proposals"))
}

// Proposal is the page of one.
func (c *Client) Proposal(ctx context.Context, id string) (node.ProposalPage, error) {
	return get[node.ProposalPage](ctx, c, at("proposals", id))
}

// Propose posts a proposal.
func (c *Client) Propose(ctx context.Context, p protocol.Proposal) (protocol.Hash, error) {
	reply, err := send[Proposed](ctx, c, http.MethodPost, at("proposals"), p)
	return reply.Proposal, err
}

// Cosign supports a proposal.
func (c *Client) Cosign(ctx context.Context, id string) error {
	_, err := exchange[struct{}](ctx, c, http.MethodPost, at("proposals", id, "cosignature"), nil)
	return err
}

// Vote casts the organisation's ballot, or that of a member whose voice it
// carries.
func (c *Client) Vote(ctx context.Context, b Ballot) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, at("ballots"), b)
	return err
}

// Decisions is the chain of decisions up to a proposal's.
func (c *Client) Decisions(ctx context.Context, id string) (record.Chain, error) {
	return get[record.Chain](ctx, c, at("proposals", id, "decisions"))
}

// Draft draws an audience's file up. Nothing leaves the node.
func (c *Client) Draft(ctx context.Context, file []byte) (node.Draft, error) {
	return exchange[node.Draft](ctx, c, http.MethodPost, at("audiences", "draft"), bytes.NewReader(file))
}

// Preview holds a manifest against the policies. Nothing leaves the node.
func (c *Client) Preview(ctx context.Context, m protocol.Manifest) (node.Draft, error) {
	return send[node.Draft](ctx, c, http.MethodPost, at("audiences", "preview"), m)
}

// Run posts a manifest.
func (c *Client) Run(ctx context.Context, m protocol.Manifest) (protocol.RoundID, error) {
	reply, err := send[Started](ctx, c, http.MethodPost, at("audiences"), m)
	return reply.Round, err
}

// Follow tells where a round is until there is nothing more to wait for.
func (c *Client) Follow(ctx context.Context, id string, tell func(node.RoundProgress) error) error {
	return stream(ctx, c, http.MethodGet, at("audiences", id, "events"), nil, tell)
}

// Audiences lists the rounds.
func (c *Client) Audiences(ctx context.Context) ([]node.RoundProgress, error) {
	return get[[]node.RoundProgress](ctx, c, at("audiences"))
}

// Audience is the page of one.
func (c *Client) Audience(ctx context.Context, id string) (node.RoundPage, error) {
	return get[node.RoundPage](ctx, c, at("audiences", id))
}

// People lists the member's own people who belong to an audience and consent
// to activation.
func (c *Client) People(ctx context.Context, id string, tell func(Person) error) error {
	return stream(ctx, c, http.MethodGet, at("audiences", id, "people"), nil, tell)
}

// Files are a published round's files, verified by the node.
func (c *Client) Files(ctx context.Context, id string) (record.Files, error) {
	return get[record.Files](ctx, c, at("audiences", id, "files"))
}
