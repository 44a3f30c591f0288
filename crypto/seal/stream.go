package seal

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// maxRecipients bounds whom one file is sealed for, far above the need and
// under the bound of age.
const maxRecipients = 64

// NewWriter seals what is written to it into dst, for each of the recipients.
// Close ends the seal, without which the content does not open; it does not
// close dst.
func NewWriter(dst io.Writer, recipients ...Recipient) (io.WriteCloser, error) {
	if len(recipients) == 0 || len(recipients) > maxRecipients {
		return nil, fmt.Errorf("a file is sealed for 1 to %d recipients", maxRecipients)
	}
	parsed := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		p, err := r.age()
		if err != nil {
			return nil, err
		}
		parsed[i] = p
	}
	w, err := age.Encrypt(dst, parsed...)
	if err != nil {
		return nil, fmt.Errorf("beginning a sealed file: %w", err)
	}
	return w, nil
}

// NewReader opens what is sealed in src.
//
// Every byte that Read returns was authenticated, but only [io.EOF] says that
// nothing is missing after it. A caller that acts on the content before EOF must
// be able to undo it when Read ends in [ErrDamaged] instead.
func NewReader(src io.Reader, identity *Identity) (io.Reader, error) {
	return newReader(src, identity.age)
}

func newReader(src io.Reader, identities ...age.Identity) (io.Reader, error) {
	s := &source{Reader: src}
	r, err := age.Decrypt(s, identities...)
	if err != nil {
		return nil, s.explain(err)
	}
	return &reader{opened: r, source: s}, nil
}

type reader struct {
	opened io.Reader
	source *source
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.opened.Read(p)
	if err != nil && err != io.EOF {
		err = r.source.explain(err)
	}
	return n, err
}

// source remembers why reading stopped, which tells a failing disk from a bad file.
type source struct {
	io.Reader
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.failed = err
	}
	return n, err
}

// explain replaces an error of age, whose text may quote the file: were it
// somebody's list of addresses opened by mistake, its first line would be logged.
func (s *source) explain(err error) error {
	var noMatch *age.NoIdentityMatchError
	switch {
	case s.failed != nil:
		return fmt.Errorf("reading a sealed file: %w", s.failed)
	case errors.As(err, &noMatch):
		return ErrWrongIdentity
	default:
		return ErrDamaged
	}
}
