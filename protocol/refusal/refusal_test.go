package refusal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestEveryReasonHasWords(t *testing.T) {
	worded := map[error]bool{}
	for _, entry := range catalogue {
		if err := entry.words.Check(); err != nil {
			t.Errorf("%v: %v", entry.err, err)
		}
		if entry.words.FR == entry.words.EN || !strings.HasSuffix(entry.words.FR, ".") || !strings.HasSuffix(entry.words.EN, ".") {
			t.Errorf("%v: a sentence in each language", entry.err)
		}
		worded[entry.err] = true
	}
	seen := map[string]bool{}
	for _, r := range reasons {
		if !worded[r.err] {
			t.Errorf("%s: no words", r.reason)
		}
		if seen[r.reason] {
			t.Errorf("%s has two meanings", r.reason)
		}
		seen[r.reason] = true
	}
}

func TestRoundTrip(t *testing.T) {
	for _, r := range reasons {
		err := fmt.Errorf("while trying: %w", r.err)
		back := FromStatus(ToStatus(err))
		if !errors.Is(back, r.err) {
			t.Errorf("%s came back as %v", r.reason, back)
		}
		if Words(back) != Words(err) {
			t.Errorf("%s came back with other words", r.reason)
		}
	}
	refused := protocol.Refuse(governance.ErrEffect, "le nom %s est déjà pris", "the name %s is taken", "ville")
	back := FromStatus(ToStatus(fmt.Errorf("proposal: %w", refused)))
	if want := (protocol.Text{FR: "Le nom ville est déjà pris.", EN: "The name ville is taken."}); Words(back) != want {
		t.Errorf("%+v", Words(back))
	}
	// A caller that gives the same error a wider meaning is understood.
	if back := FromStatus(ToStatus(fmt.Errorf("%w: %w", federation.ErrRefused, refused))); !errors.Is(back, federation.ErrRefused) {
		t.Errorf("%v", back)
	}
	leader := FromStatus(ToStatus(NotLeader{Address: "127.0.0.1:7401"}))
	var told NotLeader
	if !errors.As(leader, &told) || told.Address != "127.0.0.1:7401" {
		t.Errorf("the leader is lost: %v", leader)
	}
}

func TestStrangersErrors(t *testing.T) {
	secret := errors.New("open /srv/secret: permission denied")
	told := ToStatus(secret)
	if status.Code(told) != codes.Internal || strings.Contains(told.Error(), "secret") {
		t.Errorf("an internal error travels as %v", told)
	}
	for _, err := range []error{secret, told, FromStatus(told), nil} {
		if Words(err) != generic {
			t.Errorf("%v is worded %+v", err, Words(err))
		}
	}
	lost := FromStatus(status.Error(codes.Unavailable, "connection refused"))
	if !errors.Is(lost, ErrUnavailable) || Words(lost) != Words(ErrUnavailable) {
		t.Errorf("a broken connection is %v", lost)
	}
	if ToStatus(nil) != nil || FromStatus(nil) != nil {
		t.Error("no error became one")
	}
}

func TestTheWaitTravels(t *testing.T) {
	full := protocol.Refuse(ErrFull, "c'est plein", "it is full")
	for asked, want := range map[time.Duration]time.Duration{
		3 * time.Second: 3 * time.Second, -time.Second: 0, 24 * time.Hour: MaxRetryAfter,
	} {
		back := FromStatus(ToStatus(fmt.Errorf("submit: %w", Later(full, asked))))
		if after, ok := RetryAfter(back); !ok || after != want || !errors.Is(back, ErrFull) || Words(back) != Words(full) {
			t.Errorf("%v came back as %v, %v: %v", asked, after, ok, back)
		}
	}
	if after, ok := RetryAfter(FromStatus(ToStatus(full))); ok {
		t.Errorf("nobody said to wait %v", after)
	}
}
