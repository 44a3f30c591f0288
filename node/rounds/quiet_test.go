package rounds

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"coulisse/crypto/seal"
	"coulisse/node/witness/witnesstest"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/wire"
)

// A step that comes too late is refused, and no news: the round has moved on.
// One that goes on being refused is told.
func TestALateStepIsNoNews(t *testing.T) {
	town := federationtest.Found(t, 3).Keyed()
	id := town.Begin(town.Manifest(town.Members...)).ID
	town.Advance(id, federation.Reserved)
	square := witnesstest.New(t, town)
	identity, err := seal.NewIdentity()
	town.Must(err)
	var said bytes.Buffer
	r, err := New(Config{
		Dir: t.TempDir(), Identity: identity, Author: square.Member(town.Members[0]),
		Send:   func(context.Context, protocol.MemberID, *wire.Letter) error { return nil },
		Logger: slog.New(slog.NewTextHandler(&said, nil)),
	})
	town.Must(err)
	square.Refuse(func(protocol.Label, []byte) error { return federation.ErrRefused })
	for attempt, told := range []bool{false, true} {
		town.Must(r.Step(t.Context()))
		r.Wait()
		if got := strings.Contains(said.String(), "tried again"); got != told {
			t.Errorf("attempt %d: told %v: %s", attempt, got, said.String())
		}
		r.work[id].after = time.Time{}
	}
}
