package cli

import (
	"strings"
	"testing"
	"time"

	"coulisse/node"
	"coulisse/protocol"
)

func TestStartEpochNamesADate(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2027-03-01": time.Date(2027, 3, 1, 23, 59, 0, 0, time.Local), "60d": time.Now().Add(60 * 24 * time.Hour),
	} {
		e, err := proposalFlags{epoch: text}.effect(nil)
		if err != nil || e.StartEpoch == nil {
			t.Fatalf("%s: %v", text, err)
		}
		if off := e.StartEpoch.Until.Time().Sub(want); off < -time.Minute || off > time.Minute {
			t.Errorf("%s is %s", text, e.StartEpoch.Until.Time())
		}
	}
	if _, err := (proposalFlags{epoch: "un jour"}).effect(nil); err == nil {
		t.Error("no date, and accepted")
	}
}

func TestNewKeyInWords(t *testing.T) {
	making := node.Status{Migration: &node.Migration{Epoch: 2, Until: 1}}
	failed := making
	failed.Stewards.Failed = true
	for _, c := range []struct {
		status node.Status
		fr, en string
	}{
		{node.Status{}, "", ""},
		{making, "les gardiens la font", "are making it"},
		{failed, "a échoué", "has failed"},
		{node.Status{Migration: &node.Migration{Epoch: 2, Made: true, Moved: 3, Missing: []protocol.MemberID{"a"}}}, "3 membres sur 4", "3 of 4 members"},
	} {
		for lang, want := range map[string]string{"fr": c.fr, "en": c.en} {
			p := &printer{lang: lang}
			if got := p.migration(c.status); !strings.Contains(got, want) || (want == "") != (got == "") {
				t.Errorf("%q, not %q", got, want)
			}
		}
	}
}
