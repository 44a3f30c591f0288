package node

import (
	"strings"
	"testing"
	"time"
)

func TestClocksThatDifferAreTold(t *testing.T) {
	trouble := clocksDiffer(25*time.Minute + 10*time.Second)
	if err := trouble.What.Check(); err != nil {
		t.Error(err)
	}
	if err := trouble.Do.Check(); err != nil {
		t.Error(err)
	}
	for _, words := range []string{trouble.What.FR, trouble.What.EN} {
		if !strings.Contains(words, " 25 minutes ") {
			t.Error(words)
		}
	}
}
