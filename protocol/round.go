package protocol

import (
	"fmt"

	"coulisse/crypto/dp"
	"coulisse/crypto/key"
)

// RoundRef names a round by its number and by the hash of its signed
// manifest: an answer to one manifest never fits another.
type RoundRef struct {
	Round    RoundID `json:"round"`
	Manifest Hash    `json:"manifest"`
}

// Check reports whether both names are there.
func (r RoundRef) Check() error {
	if err := r.Round.Check(); err != nil {
		return err
	}
	return checkRef("manifest", r.Manifest)
}

// Ack is a participant's answer to a manifest: accepted, or refused for a
// reason that everybody may read.
type Ack struct {
	RoundRef
	Refusal *Text `json:"refusal,omitempty"`
}

// Label implements [Document].
func (Ack) Label() Label { return LabelAck }

// Role implements [Document].
func (Ack) Role() (r key.Node) { return }

// Check implements [Document].
func (a Ack) Check() error {
	if a.Refusal != nil {
		if err := a.Refusal.Check(); err != nil {
			return fmt.Errorf("refusal: %w", err)
		}
	}
	return a.RoundRef.Check()
}

// KeyConfirm shows that a participant holds the round key, without showing it:
// all participants post the same value, or the round aborts.
type KeyConfirm struct {
	RoundRef
	MAC Hash `json:"mac"`
}

// Label implements [Document].
func (KeyConfirm) Label() Label { return LabelKeyConfirm }

// Role implements [Document].
func (KeyConfirm) Role() (r key.Node) { return }

// Upload announces the only bytes that this source will ever send in the round.
type Upload struct {
	RoundRef
	Source SourceName `json:"source"`
	Digest Hash       `json:"digest"`
}

// Label implements [Document].
func (Upload) Label() Label { return LabelUpload }

// Role implements [Document].
func (Upload) Role() (r key.Node) { return }

// Check implements [Document].
func (u Upload) Check() error {
	if err := u.Source.Check(); err != nil {
		return err
	}
	if err := checkRef("digest", u.Digest); err != nil {
		return err
	}
	return u.RoundRef.Check()
}

// Collected says that a recipient has the labels of its own people.
type Collected struct {
	RoundRef
	Source SourceName `json:"source"`
}

// Label implements [Document].
func (Collected) Label() Label { return LabelCollected }

// Role implements [Document].
func (Collected) Role() (r key.Node) { return }

// Check implements [Document].
func (c Collected) Check() error {
	if err := c.Source.Check(); err != nil {
		return err
	}
	return c.RoundRef.Check()
}

// Abort ends a round at a participant's word, with its reason.
type Abort struct {
	RoundRef
	Reason Text `json:"reason"`
}

// Label implements [Document].
func (Abort) Label() Label { return LabelAbort }

// Role implements [Document].
func (Abort) Role() (r key.Node) { return }

// Check implements [Document].
func (a Abort) Check() error {
	if err := a.Reason.Check(); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	return a.RoundRef.Check()
}

// Enrolment says which certificate a member's node presents from now on.
type Enrolment struct {
	Member      MemberID `json:"member"`
	Certificate Hash     `json:"certificate"` // SHA-256 of the DER form
	// Renews is the certificate with which the node itself asked for this one.
	// It stays good, in case the node stopped before it kept the new one. Zero
	// after an enrolment, which shuts out whoever held an earlier certificate.
	Renews Hash   `json:"renews,omitzero"`
	Until  Millis `json:"until"`
}

// Label implements [Document].
func (Enrolment) Label() Label { return LabelEnrolment }

// Role implements [Document].
func (Enrolment) Role() (r key.Replica) { return }

// Check implements [Document].
func (e Enrolment) Check() error {
	if err := e.Until.check("the end of a certificate"); err != nil {
		return err
	}
	if err := checkRef("certificate", e.Certificate); err != nil {
		return err
	}
	return e.Member.Check()
}

// Reserve sets the round's cost aside before anything can be opened.
type Reserve struct {
	RoundRef
	Cost dp.NanoRho `json:"cost_nano_rho"`
	// Left is what the budget has after it, other reservations counted.
	Left dp.NanoRho `json:"left_nano_rho"`
}

// Label implements [Document].
func (Reserve) Label() Label { return LabelReserve }

// Role implements [Document].
func (Reserve) Role() (r key.Replica) { return }

// Opening says that every upload is there and the matcher begins: from here
// the cost is spent, whatever happens.
type Opening struct {
	RoundRef
}

// Label implements [Document].
func (Opening) Label() Label { return LabelOpening }

// Role implements [Document].
func (Opening) Role() (r key.Replica) { return }

// Lapse ends a round whose deadline has passed, or whose replica cannot go on.
type Lapse struct {
	RoundRef
	Reason Text `json:"reason"`
}

// Label implements [Document].
func (Lapse) Label() Label { return LabelLapse }

// Role implements [Document].
func (Lapse) Role() (r key.Replica) { return }

// Check implements [Document].
func (l Lapse) Check() error {
	if err := l.Reason.Check(); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	return l.RoundRef.Check()
}

// Result is what a round publishes.
type Result struct {
	RoundRef
	Size    Figure         `json:"size"`
	Sources []SourceFigure `json:"sources"` // in the manifest's order
}

// Figure is one published number, or the reason why there is none. Value is
// the noised count, not below zero; the true one lies in [Low, High] with 95 %
// confidence over the noise.
type Figure struct {
	Value      int64       `json:"value,omitzero"`
	Low        int64       `json:"low,omitzero"`
	High       int64       `json:"high,omitzero"`
	Variance   dp.Variance `json:"variance"`
	Suppressed Suppression `json:"suppressed,omitempty"`
}

// maxFigure bounds a published figure: the integers that JSON keeps exactly.
const maxFigure = 1<<53 - 1

// Suppression is why a figure is not published.
type Suppression string

// BelowFloor: the noised count does not clear the charter's smallest size by
// 2.33 standard deviations of the noise.
const BelowFloor Suppression = "below-floor"

// SourceFigure is how many of a source's people are in the audience.
type SourceFigure struct {
	Source SourceName `json:"source"`
	Figure Figure     `json:"figure"`
}

// Label implements [Document].
func (Result) Label() Label { return LabelResult }

// Role implements [Document].
func (Result) Role() (r key.Replica) { return }

// Check implements [Document].
func (r Result) Check() error {
	if len(r.Sources) > MaxSources {
		return fmt.Errorf("%w: a result has at most %d sources", ErrMalformed, MaxSources)
	}
	if err := r.Size.check(); err != nil {
		return err
	}
	for _, s := range r.Sources {
		if err := s.Figure.check(); err != nil {
			return err
		}
	}
	return r.RoundRef.Check()
}

func (f Figure) check() error {
	if f.Suppressed != "" {
		if f.Suppressed != BelowFloor || f.Value != 0 || f.Low != 0 || f.High != 0 {
			return fmt.Errorf("%w: a suppressed figure carries a known reason and no number", ErrMalformed)
		}
		return nil
	}
	if f.Low < 0 || f.Value < f.Low || f.High < f.Value || f.High > maxFigure {
		return fmt.Errorf("%w: a figure lies within its interval", ErrMalformed)
	}
	return nil
}
