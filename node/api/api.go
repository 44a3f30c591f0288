// Package api is how the command line, and later a web page, ask a running
// node for something: HTTP and JSON on a unix socket in the node's folder,
// which only its owner can open. Long work answers with a line of JSON for
// each event.
//
// It holds no logic of its own: every route is a method of node.Node.
package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"coulisse/node"
	"coulisse/node/draft"
	"coulisse/node/importer"
	"coulisse/node/rounds"
	"coulisse/node/segment"
	"coulisse/node/warehouse"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/record"
	"coulisse/protocol/refusal"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// maxBody bounds a request that is not a file to import: a policy or a
// manifest, with room.
const maxBody = 1 << 20

// maxLine bounds one line of an answer's stream.
const maxLine = 4 << 20

// maxAnswer bounds an answer that is not a stream: the record of a round, with
// the chain of decisions in it.
const maxAnswer = 128 << 20

// encoding is how values travel. A report's duration is a number.
var encoding = jsonv1.FormatDurationAsNano(true)

func encode(w io.Writer, v any) error { return json.MarshalWrite(w, v, encoding) }

// decodeRequest reads a request strictly: a name that it does not know is a
// mistake of whoever asks.
func decodeRequest[T any](raw []byte) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v, encoding, json.RejectUnknownMembers(true)); err != nil {
		return v, fmt.Errorf("%w: the request does not decode", errRequest)
	}
	return v, nil
}

var errRequest = errors.New("the request is not one of this interface")

// Fault is an error as it travels and as the client returns it.
type Fault struct {
	Text   protocol.Text `json:"error"`
	Reason Reason        `json:"reason"`
}

// Error implements error.
func (f *Fault) Error() string { return f.Text.EN }

// Words are the sentences for people.
func (f *Fault) Words() protocol.Text { return f.Text }

// ExitCode is the status with which a command ends that met it.
func (f *Fault) ExitCode() int {
	if f.Reason == ReasonUsage {
		return 2
	}
	return 1
}

// Reason is the stable name of a kind of error.
type Reason string

// The reasons.
const (
	ReasonUsage       Reason = "usage"       // the request itself is wrong
	ReasonMalformed   Reason = "malformed"   // a document in it is
	ReasonNotFound    Reason = "not-found"   // it speaks of what is not there
	ReasonDenied      Reason = "denied"      // by the policies
	ReasonRefused     Reason = "refused"     // by the protocol or the node
	ReasonFile        Reason = "file"        // a file cannot be imported
	ReasonTaken       Reason = "taken"       // this very file was imported before
	ReasonUnavailable Reason = "unavailable" // try again
	ReasonUnproven    Reason = "unproven"    // a record does not prove what it states
	ReasonFailed      Reason = "failed"
)

// reasons map errors to reasons and statuses. The first match wins.
var reasons = []struct {
	err    error
	reason Reason
	status int
}{
	{errRequest, ReasonUsage, http.StatusBadRequest},
	{node.ErrDenied, ReasonDenied, http.StatusForbidden},
	{node.ErrNotEnrolled, ReasonRefused, http.StatusConflict},
	{errNoIntake, ReasonNotFound, http.StatusNotFound},
	{refusal.ErrUnavailable, ReasonUnavailable, http.StatusServiceUnavailable},
	{record.ErrRecord, ReasonUnproven, http.StatusBadGateway},
	{federation.ErrNotFound, ReasonNotFound, http.StatusNotFound},
	{segment.ErrNotFound, ReasonNotFound, http.StatusNotFound},
	{rounds.ErrNoLabels, ReasonNotFound, http.StatusNotFound},
	{node.ErrNobody, ReasonNotFound, http.StatusNotFound},
	{warehouse.ErrNoPerson, ReasonNotFound, http.StatusNotFound},
	{warehouse.ErrTaken, ReasonRefused, http.StatusConflict},
	{warehouse.ErrBusy, ReasonUnavailable, http.StatusServiceUnavailable},
	{warehouse.ErrExporting, ReasonUnavailable, http.StatusConflict},
	{draft.ErrDraft, ReasonMalformed, http.StatusUnprocessableEntity},
	{policies.ErrRefused, ReasonMalformed, http.StatusUnprocessableEntity},
	{segment.ErrUnknownDiscipline, ReasonMalformed, http.StatusUnprocessableEntity},
	{warehouse.ErrAlreadyImported, ReasonTaken, http.StatusConflict},
	{warehouse.ErrImporting, ReasonUnavailable, http.StatusConflict},
	{federation.ErrRefused, ReasonRefused, http.StatusConflict},
	{protocol.ErrMalformed, ReasonMalformed, http.StatusUnprocessableEntity},
}

// faultOf is an error as it travels.
func faultOf(err error) (*Fault, int) {
	f := &Fault{Text: node.Words(err), Reason: ReasonFailed}
	var problem *importer.Problem
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &problem):
		f.Reason = ReasonFile
		return f, http.StatusUnprocessableEntity
	case errors.As(err, &long):
		f.Reason = ReasonUsage
		f.Text = protocol.Text{FR: "La demande est trop longue.", EN: "The request is too long."}
		return f, http.StatusRequestEntityTooLarge
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			f.Reason = r.reason
			return f, r.status
		}
	}
	return f, http.StatusInternalServerError
}

// Requests with more than a name.
type (
	// SaveSegment asks for a definition to be kept.
	SaveSegment struct {
		Definition protocol.Definition `json:"definition"`
		Pooled     bool                `json:"pooled"`
	}
	// Ballot casts the organisation's voice, on one proposal or an agenda of them.
	Ballot struct {
		// For is the member whose voice this one carries; empty for its own.
		For   protocol.MemberID `json:"for,omitempty"`
		Votes []node.Vote       `json:"votes"`
	}
	// Proposed names a new proposal.
	Proposed struct {
		Proposal protocol.Hash `json:"proposal"`
	}
	// Started names a new round.
	Started struct {
		Round protocol.RoundID `json:"round"`
	}
	// Count is how many of the member's own people a segment fits.
	Count struct {
		Segment string `json:"segment"`
		People  int64  `json:"people"`
	}
	// Delegate asks to lend the organisation's voice.
	Delegate struct {
		To    protocol.MemberID `json:"to"`
		From  protocol.Millis   `json:"from_ms"`
		Until protocol.Millis   `json:"until_ms"`
	}
	// Delegated names the delegation that was given.
	Delegated struct {
		Delegation protocol.Hash `json:"delegation"`
	}
	// Simulate asks what a change of the rules would have refused.
	Simulate struct {
		Effect protocol.Effect `json:"effect"`
		Since  protocol.Millis `json:"since_ms"`
	}
	// Person is one of the member's own people, for the member.
	Person struct {
		Kind       string `json:"kind"`
		Identifier string `json:"identifier"`
	}
)
