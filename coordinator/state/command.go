package state

import (
	"errors"
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Command is one entry of the Raft log. The leader fills in the time; every
// replica applies the same bytes. Exactly one of the fields beside the time is
// set, and none is ever given a second meaning.
type Command struct {
	At       protocol.Millis `json:"at"`
	Append   []Append        `json:"append,omitempty"` // in this order, each by itself
	AddToken *AddToken       `json:"add_token,omitempty"`
	Enroll   *Enroll         `json:"enroll,omitempty"`
}

// Append asks for a document to be appended to the federation's log.
type Append struct {
	Label    protocol.Label `json:"label"`
	Document jsontext.Value `json:"document"` // a signed document, canonical JSON
}

// AddToken admits one enrolment of a member, once, until a time. Only the
// hash of the secret is stored.
type AddToken struct {
	Secret protocol.Hash     `json:"secret"`
	Member protocol.MemberID `json:"member"`
	Until  protocol.Millis   `json:"until"`
}

// Enroll uses up a token and appends the enrolment that the replica signed.
type Enroll struct {
	Secret    protocol.Hash  `json:"secret"`
	Request   protocol.Hash  `json:"request"` // of the certificate request
	Enrolment jsontext.Value `json:"enrolment"`
}

// Outcome is what a command did, or one document of it: the log entry that was
// appended, or why not.
type Outcome struct {
	Seq int64
	// Already says that this very document was in the log before.
	Already bool
	Err     error
}

// ErrToken: the enrolment token is unknown, expired, or was used for another
// certificate request. Ask the co-operative's office for a new one.
var ErrToken = errors.New("the enrolment token is not valid (unknown, expired or already used); ask the co-operative's office for a new one")

// Encode is the command's form in the Raft log.
func (c Command) Encode() ([]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode a command: %w", err)
	}
	return raw, nil
}

func decodeCommand(raw []byte) (Command, error) {
	var c Command
	if err := json.Unmarshal(raw, &c, json.RejectUnknownMembers(true)); err != nil {
		return c, err
	}
	set := 0
	for _, present := range []bool{len(c.Append) > 0, c.AddToken != nil, c.Enroll != nil} {
		if present {
			set++
		}
	}
	if set != 1 {
		return c, errors.New("a command does exactly one thing")
	}
	return c, nil
}

// run carries out each part of the command, whole or not at all.
func (c Command) run(tx federation.Tx) []Outcome {
	switch {
	case c.AddToken != nil:
		return []Outcome{attempt(tx, c.addToken)}
	case c.Enroll != nil:
		return []Outcome{attempt(tx, c.enroll)}
	}
	var ballots [][]byte
	for _, a := range c.Append {
		if a.Label == protocol.LabelBallot {
			ballots = append(ballots, a.Document)
		}
	}
	federation.VerifyAhead(tx, ballots)
	outcomes := make([]Outcome, len(c.Append))
	for i, a := range c.Append {
		outcomes[i] = attempt(tx, func(tx federation.Tx) Outcome { return c.append(tx, a.Label, a.Document) })
	}
	return outcomes
}

// attempt leaves nothing behind of a part that is refused.
func attempt(tx federation.Tx, part func(federation.Tx) Outcome) (o Outcome) {
	_ = federation.Whole(tx, func(tx federation.Tx) error { // it is the outcome's
		o = part(tx)
		return o.Err
	})
	return o
}

// append gives the document its place.
func (c Command) append(tx federation.Tx, label protocol.Label, document []byte) Outcome {
	seq, already, err := federation.Append(tx, c.At, label, document)
	stopAt(err)
	return Outcome{Seq: seq, Already: already, Err: err}
}

// stopAt ends a replica whose log goes on by rules that this build does not
// know. It must not guess what they come to.
func stopAt(err error) {
	if errors.Is(err, governance.ErrRules) {
		panic("state: upgrade this replica: " + err.Error())
	}
}

// token is a stored enrolment token. Used is the request it was used for.
type token struct {
	Member protocol.MemberID `json:"member"`
	Until  protocol.Millis   `json:"until"`
	Used   protocol.Hash     `json:"used"`
}

func tokenKey(secret protocol.Hash) string { return "token/" + secret.String() }

func (c Command) addToken(tx federation.Tx) Outcome {
	view, err := federation.View(tx)
	if err != nil {
		return Outcome{Err: err}
	}
	if m, ok := view.Member(c.AddToken.Member); !ok || !m.Belongs() {
		return Outcome{Err: protocol.Refuse(federation.ErrRefused,
			"l'organisation %s n'est pas un membre en règle\u00a0; qu'un vote l'admette d'abord",
			"the organisation %s is not a member in good standing; admit it by a vote first", c.AddToken.Member)}
	}
	if _, ok := tx.Get(tokenKey(c.AddToken.Secret)); ok {
		return Outcome{Already: true}
	}
	put(tx, tokenKey(c.AddToken.Secret), token{Member: c.AddToken.Member, Until: c.AddToken.Until})
	return Outcome{}
}

// enroll accepts a token once. The same request may come again: its first
// answer may have been lost with a leader.
func (c Command) enroll(tx federation.Tx) Outcome {
	raw, ok := tx.Get(tokenKey(c.Enroll.Secret))
	if !ok {
		return Outcome{Err: ErrToken}
	}
	var t token
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		panic("state: a stored token does not decode: " + err.Error())
	}
	if c.At > t.Until || (!t.Used.IsZero() && t.Used != c.Enroll.Request) {
		return Outcome{Err: ErrToken}
	}
	t.Used = c.Enroll.Request
	put(tx, tokenKey(c.Enroll.Secret), t)
	return c.append(tx, protocol.LabelEnrolment, c.Enroll.Enrolment)
}

// TokenMember tells whom a token would enrol, whether or not it still can.
func TokenMember(tx federation.Tx, secret protocol.Hash) (protocol.MemberID, bool) {
	raw, ok := tx.Get(tokenKey(secret))
	if !ok {
		return "", false
	}
	var t token
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return "", false
	}
	return t.Member, true
}

func put(tx federation.Tx, key string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("state: " + err.Error())
	}
	tx.Set(key, string(raw))
}
