package oprf

import (
	"fmt"
	"io"
	"log/slog"
)

// Share is a steward's secret share of one sharing of K. It prints as a
// placeholder and does not compare; store it sealed, and destroy it when the
// key is reshared: t old shares are the key.
type Share struct {
	_     [0]func()
	index Index
	key   KeyID
	value scalar
}

// Index returns the steward's seat.
func (s Share) Index() Index { return s.index }

// Key returns which sharing the share belongs to.
func (s Share) Key() KeyID { return s.key }

// MarshalBinary returns the secret in the clear, to be sealed.
func (s Share) MarshalBinary() ([]byte, error) {
	w := writer{encodingVersion}
	w.u16(uint16(s.index))
	w.bytes(s.key[:])
	w.scalar(&s.value)
	return w, nil
}

// ParseShare decodes an unsealed share.
func ParseShare(b []byte) (Share, error) {
	r := newReader(b)
	s := Share{index: r.index(), key: KeyID(r.take(len(KeyID{})))}
	r.scalar(&s.value)
	if err := r.end(); err != nil {
		return Share{}, fmt.Errorf("share: %w", err)
	}
	return s, nil
}

// Subshare is what a dealer of a [Ceremony] sends to one receiver, sealed: a
// secret until the ceremony has failed, evidence afterwards.
type Subshare struct {
	_        [0]func()
	dealer   Index
	receiver Index
	value    scalar
}

// Dealer returns who sent the subshare.
func (s Subshare) Dealer() Index { return s.dealer }

// Receiver returns for whom it is.
func (s Subshare) Receiver() Index { return s.receiver }

// MarshalBinary returns the secret in the clear, to be sealed.
func (s Subshare) MarshalBinary() ([]byte, error) {
	w := writer{encodingVersion}
	w.u16(uint16(s.dealer))
	w.u16(uint16(s.receiver))
	w.scalar(&s.value)
	return w, nil
}

// ParseSubshare decodes an opened subshare.
func ParseSubshare(b []byte) (Subshare, error) {
	r := newReader(b)
	s := Subshare{dealer: r.index(), receiver: r.index()}
	r.scalar(&s.value)
	if err := r.end(); err != nil {
		return Subshare{}, fmt.Errorf("subshare: %w", err)
	}
	return s, nil
}

// What must not reach a log or an error prints as a placeholder, under any
// verb.
const (
	hiddenShare    = "oprf.Share(secret)"
	hiddenSubshare = "oprf.Subshare(secret)"
	hiddenBlinding = "oprf.Blinding(secret)"
	hiddenToken    = "oprf.Token(personal data)"
)

func (Share) String() string    { return hiddenShare }
func (Subshare) String() string { return hiddenSubshare }
func (Blinding) String() string { return hiddenBlinding }
func (Token) String() string    { return hiddenToken }

// Format implements [fmt.Formatter].
func (Share) Format(f fmt.State, _ rune) { io.WriteString(f, hiddenShare) }

// Format implements [fmt.Formatter].
func (Subshare) Format(f fmt.State, _ rune) { io.WriteString(f, hiddenSubshare) }

// Format implements [fmt.Formatter].
func (Blinding) Format(f fmt.State, _ rune) { io.WriteString(f, hiddenBlinding) }

// Format implements [fmt.Formatter].
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, hiddenToken) }

// LogValue implements [slog.LogValuer].
func (Share) LogValue() slog.Value { return slog.StringValue(hiddenShare) }

// LogValue implements [slog.LogValuer].
func (Subshare) LogValue() slog.Value { return slog.StringValue(hiddenSubshare) }

// LogValue implements [slog.LogValuer].
func (Blinding) LogValue() slog.Value { return slog.StringValue(hiddenBlinding) }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue(hiddenToken) }
