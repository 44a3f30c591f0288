package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
)

// clocked are limits with a clock that only the test moves.
func clocked() (*limits, *time.Time) {
	now := time.Unix(1_800_000_000, 0)
	return newLimits(func() time.Time { return now }), &now
}

// Nobody is trusted with more than the burst, be they sent one by one, all at
// once, or by callers that do not wait for the answer.
func TestTrustIsBounded(t *testing.T) {
	for name, ending := range map[string]error{
		"refused": federation.ErrRefused, "left": refusal.ErrUnavailable, "cancelled": context.Canceled, "under way": nil,
	} {
		l, now := clocked()
		trusted := 0
		var under []func(error)
		for range 3 * refusedBurst {
			if settle, ok := l.trust("a"); ok {
				trusted++
				if under = append(under, settle); ending != nil {
					settle(ending)
				}
			}
		}
		if trusted != refusedBurst {
			t.Errorf("%s: %d were taken on trust", name, trusted)
		}
		if _, ok := l.trust("b"); !ok {
			t.Errorf("%s: another member is doubted", name)
		}
		if ending == nil {
			for _, settle := range under {
				settle(nil)
			}
		} else {
			*now = now.Add(6 * time.Second) // one more at 0.2 a second
		}
		if _, ok := l.trust("a"); !ok {
			t.Errorf("%s: doubt never ends", name)
		}
	}
}

// What the log took, or had already, costs no trust.
func TestAcceptedDocumentsCostNoTrust(t *testing.T) {
	l, _ := clocked()
	for i := range 1000 {
		settle, ok := l.trust("a")
		if !ok {
			t.Fatalf("document %d is doubted", i)
		}
		settle([]error{nil, federation.ErrAlready, refusal.ErrNotLeader}[i%3])
	}
}

// The seconds that a refusal names are enough, and no more than needed.
func TestTheRetryIsTrue(t *testing.T) {
	l, now := clocked()
	for range renewBurst {
		if err := l.renew("a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.renew("a"); !errors.Is(err, refusal.ErrFull) {
		t.Fatal(err)
	}
	*now = now.Add(599 * time.Second)
	if l.renew("a") == nil {
		t.Error("a renewal before its time")
	}
	*now = now.Add(2 * time.Second)
	if err := l.renew("a"); err != nil {
		t.Error(err)
	}
}

// A node that tokenises three million people, 4,096 a ticket and four tickets a
// second, beside a hundred votes at once, stays within its limits.
func TestAnHonestNodeIsNotLimited(t *testing.T) {
	l, now := clocked()
	for i := range 733 {
		if i%100 == 0 {
			for range 100 {
				if err := l.submit("a", 4<<10); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.submit("a", 1<<10); err != nil {
			t.Fatalf("ticket %d: %v", i, err)
		}
		*now = now.Add(250 * time.Millisecond)
	}
}

func TestOneIsTriedAtATime(t *testing.T) {
	l, _ := clocked()
	done, err := l.distrust(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.distrust(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Error("two are tried at once:", err)
	}
	done()
	if done, err = l.distrust(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	done()
}

// What a party asks for is bounded, whatever it is; another one is not held up,
// and the wait that is named is true.
func TestCallsAreBounded(t *testing.T) {
	l, now := clocked()
	a, b := authority.Party{Role: authority.Member, Name: "a"}, authority.Party{Role: authority.Member, Name: "b"}
	n := 0
	var refused error
	for refused = l.call(a, 50); refused == nil; refused = l.call(a, 50) {
		n++
	}
	after, ok := refusal.RetryAfter(refused)
	if n != callBurst/50 || !errors.Is(refused, refusal.ErrFull) || !ok {
		t.Fatalf("%d calls, then %v", n, refused)
	}
	if err := l.call(b, 50); err != nil {
		t.Error(err)
	}
	*now = now.Add(after)
	if err := l.call(a, 50); err != nil {
		t.Errorf("after %v: %v", after, err)
	}
}

// Whoever sends or reads too fast waits, and is not refused.
func TestStreamsAreHeldBack(t *testing.T) {
	l, now := clocked()
	a := authority.Party{Role: authority.Member, Name: "a"}
	for range flowBurst >> 20 {
		if err := l.message(t.Context(), a, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.message(gone, a, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("beyond the burst: %v", err)
	}
	if err := l.message(gone, authority.Party{Role: authority.Member, Name: "b"}, 1<<20); err != nil {
		t.Errorf("another member: %v", err)
	}
	*now = now.Add(time.Second)
	if err := l.message(gone, a, 1<<20); err != nil {
		t.Errorf("a second later: %v", err)
	}
}
