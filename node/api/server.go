package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"coulisse/node"
	"coulisse/node/draft"
	"coulisse/node/importer"
	"coulisse/protocol"
)

// maxImport bounds a file to import, in bytes.
const maxImport = 64 << 30

// ErrRunning: another process serves this folder's node.
var ErrRunning = protocol.Refuse(errRunning,
	"le nœud de ce dossier est déjà en marche\u00a0; utilisez ses commandes, ou arrêtez-le d'abord",
	"the node of this folder is already running; use its commands, or stop it first")

var errRunning = errors.New("the node's socket cannot be used")

// Running reports [ErrRunning] if a node answers at path.
func Running(path string) error {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil // nobody, or what a dead node left
	}
	conn.Close()
	return ErrRunning
}

// Listen takes the socket at path, for its owner only, from a dead node if
// need be. Whoever calls it holds the node's warehouse, so no other node of
// the folder is about to do the same.
func Listen(path string) (net.Listener, error) {
	if err := Running(path); err != nil {
		return nil, err
	}
	// It gets its name when it has its mode: before, it is in a folder that is
	// its owner's alone, whatever the mode of the node's folder.
	private, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, fmt.Errorf("listen on the node's socket: %w", err)
	}
	defer os.RemoveAll(private)
	hidden := filepath.Join(private, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		if len(hidden) > maxPath {
			return nil, protocol.Refuse(errRunning,
				"le chemin du dossier est trop long pour un socket (%d octets)\u00a0; choisissez un dossier plus proche de la racine",
				"the folder's path is too long for a socket (%d bytes); choose a folder nearer to the root", len(path))
		}
		return nil, fmt.Errorf("listen on the node's socket: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return named{listener, path}, nil
}

// maxPath is what the smallest of the systems leaves for a socket's path.
const maxPath = 103

// named is a listener that takes its name away when it is closed.
type named struct {
	net.Listener
	path string
}

func (l named) Close() error {
	_ = os.Remove(l.path) // before another node may listen there
	return l.Listener.Close()
}

// drain is how long answers under way may take when the node stops.
const drain = 5 * time.Second

// Serve answers on the listener until ctx ends, and lets answers under way
// finish.
func Serve(ctx context.Context, listener net.Listener, n *node.Node, logger *slog.Logger) error {
	return serve(ctx, listener, Handler(ctx, n), logger)
}

func serve(ctx context.Context, listener net.Listener, routes http.Handler, logger *slog.Logger) error {
	asking, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	server := &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return asking },
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	context.AfterFunc(last, stop)
	err := server.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-ended
	return err
}

// server is the routes over a node.
type server struct {
	n *node.Node
	// stopping ends what only follows; an import is given its time.
	stopping context.Context
}

// Handler is the routes, for a listener of any kind. Answers that only follow
// end with stopping.
func Handler(stopping context.Context, n *node.Node) http.Handler {
	s := server{n, stopping}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", answer(func(r *http.Request) (any, error) { return n.Status(r.Context()) }))
	logRoutes(mux, n)
	collectRoutes(mux, n.House)
	personRoutes(mux, n.House)
	mux.HandleFunc("GET /v1/imports", answer(func(r *http.Request) (any, error) { return n.Imports(r.Context()) }))
	mux.HandleFunc("POST /v1/imports", s.imports)

	mux.HandleFunc("GET /v1/segments", answer(func(r *http.Request) (any, error) { return n.Segments(r.Context()) }))
	mux.HandleFunc("PUT /v1/segments", answer(s.saveSegment))
	mux.HandleFunc("GET /v1/segments/{name}", answer(func(r *http.Request) (any, error) { return n.Segment(r.Context(), r.PathValue("name")) }))
	mux.HandleFunc("DELETE /v1/segments/{name}", answer(func(r *http.Request) (any, error) {
		return struct{}{}, n.DeleteSegment(r.Context(), r.PathValue("name"))
	}))
	mux.HandleFunc("GET /v1/segments/{name}/count", answer(func(r *http.Request) (any, error) {
		people, err := n.CountSegment(r.Context(), r.PathValue("name"))
		return Count{r.PathValue("name"), people}, err
	}))

	mux.HandleFunc("GET /v1/policies", answer(func(*http.Request) (any, error) { return n.Policies() }))
	mux.HandleFunc("GET /v1/policies/{name}", answer(func(r *http.Request) (any, error) {
		return n.Policy(protocol.PolicyName(r.PathValue("name")))
	}))

	mux.HandleFunc("GET /v1/proposals", answer(func(*http.Request) (any, error) { return n.Proposals() }))
	mux.HandleFunc("POST /v1/proposals", answer(s.propose))
	mux.HandleFunc("GET /v1/proposals/{id}", answer(func(r *http.Request) (any, error) { return n.Proposal(r.PathValue("id")) }))
	mux.HandleFunc("POST /v1/proposals/{id}/cosignature", answer(func(r *http.Request) (any, error) {
		return struct{}{}, n.Cosign(r.Context(), r.PathValue("id"))
	}))
	mux.HandleFunc("POST /v1/ballots", answer(s.vote))
	governanceRoutes(mux, n)
	mux.HandleFunc("GET /v1/proposals/{id}/decisions", answer(func(r *http.Request) (any, error) { return n.ExportDecisions(r.PathValue("id")) }))

	mux.HandleFunc("GET /v1/audiences", answer(func(*http.Request) (any, error) { return n.Rounds() }))
	mux.HandleFunc("POST /v1/audiences", answer(s.runAudience))
	mux.HandleFunc("POST /v1/audiences/draft", answer(s.draftAudience))
	mux.HandleFunc("POST /v1/audiences/preview", answer(s.previewAudience))
	mux.HandleFunc("GET /v1/audiences/{id}", answer(func(r *http.Request) (any, error) { return n.Round(r.Context(), r.PathValue("id")) }))
	mux.HandleFunc("GET /v1/audiences/{id}/events", s.events)
	mux.HandleFunc("GET /v1/audiences/{id}/people", s.people)
	mux.HandleFunc("GET /v1/audiences/{id}/files", answer(func(r *http.Request) (any, error) { return n.ExportAudience(r.Context(), r.PathValue("id")) }))
	return mux
}

// answer runs a call and writes what it returns.
func answer(call func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		v, err := call(r)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = encode(w, v) // whoever asked has gone away
	}
}

func refuse(w http.ResponseWriter, err error) {
	fault, status := faultOf(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = encode(w, fault)
}

// body reads a bounded request.
func body[T any](r *http.Request) (T, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		var zero T
		return zero, err
	}
	return decodeRequest[T](raw)
}

func (s server) saveSegment(r *http.Request) (any, error) {
	asked, err := body[SaveSegment](r)
	if err != nil {
		return nil, err
	}
	return s.n.SaveSegment(r.Context(), asked.Definition, asked.Pooled)
}

func (s server) propose(r *http.Request) (any, error) {
	asked, err := body[protocol.Proposal](r)
	if err != nil {
		return nil, err
	}
	id, err := s.n.Propose(r.Context(), asked)
	return Proposed{id}, err
}

func (s server) vote(r *http.Request) (any, error) {
	asked, err := body[Ballot](r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.n.Vote(r.Context(), asked.For, asked.Votes...)
}

func (s server) draftAudience(r *http.Request) (any, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	asked, err := draft.ParseAudience(text)
	if err != nil {
		return nil, err
	}
	return s.n.DraftAudience(r.Context(), asked)
}

func (s server) previewAudience(r *http.Request) (any, error) {
	m, err := body[protocol.Manifest](r)
	if err != nil {
		return nil, err
	}
	return s.n.Preview(r.Context(), m)
}

func (s server) runAudience(r *http.Request) (any, error) {
	m, err := body[protocol.Manifest](r)
	if err != nil {
		return nil, err
	}
	round, err := s.n.RunAudience(r.Context(), m)
	return Started{round}, err
}

// lines is an answer of one line an event. An error before the first line is
// an error answer; after it, it is the last line.
type lines struct {
	w     http.ResponseWriter
	begun bool
}

// put writes a line, tell one that must not wait for the next.
func (l *lines) put(v any) error {
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.begun = true
	}
	if err := encode(l.w, v); err != nil {
		return err
	}
	_, err := io.WriteString(l.w, "\n")
	return err
}

func (l *lines) tell(v any) error {
	if err := l.put(v); err != nil {
		return err
	}
	return http.NewResponseController(l.w).Flush()
}

func (l *lines) end(err error) {
	switch {
	case err == nil && !l.begun:
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.WriteHeader(http.StatusOK)
	case err == nil:
	case !l.begun:
		refuse(l.w, err)
	default:
		fault, _ := faultOf(err)
		_ = l.tell(fault)
	}
}

// imports takes a file from the request's body.
func (s server) imports(w http.ResponseWriter, r *http.Request) {
	l := &lines{w: w}
	o, err := importOptions(r)
	if err != nil {
		l.end(err)
		return
	}
	// Events go out while the file comes in.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		l.end(err)
		return
	}
	report, err := s.n.Import(r.Context(), http.MaxBytesReader(w, r.Body, maxImport), o, func(e node.ImportEvent) { _ = l.tell(e) })
	if report.Rows > 0 || err == nil {
		_ = l.tell(node.ImportEvent{Rows: report.Rows, Refused: report.Refused, Report: &report})
	}
	l.end(err)
}

func importOptions(r *http.Request) (importer.Options, error) {
	q := r.URL.Query()
	o := importer.Options{Kind: importer.Kind(q.Get("kind")), File: q.Get("file"), Region: q.Get("region")}
	if at := q.Get("as_of"); at != "" {
		var err error
		if o.AsOf, err = time.Parse(time.RFC3339, at); err != nil {
			return o, fmt.Errorf("%w: as_of is an instant", errRequest)
		}
	}
	if mapping := q.Get("mapping"); mapping != "" {
		var err error
		if o.Mapping, err = importer.ParseMapping([]byte(mapping)); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (s server) events(w http.ResponseWriter, r *http.Request) {
	l := &lines{w: w}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	l.end(s.n.FollowRound(ctx, r.PathValue("id"), func(p node.RoundProgress) error { return l.tell(p) }))
}

// people writes identifiers. They are the member's own, and go to the member.
func (s server) people(w http.ResponseWriter, r *http.Request) {
	l := &lines{w: w}
	list, err := s.n.LabelledPeople(r.Context(), r.PathValue("id"))
	if err != nil {
		l.end(err)
		return
	}
	for identifier, err := range list {
		if err == nil {
			err = l.put(Person{string(identifier.Kind), identifier.Reveal()})
		}
		if err != nil {
			l.end(err)
			return
		}
	}
	l.end(nil)
}
