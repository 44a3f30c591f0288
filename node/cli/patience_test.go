package cli

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
)

func TestSilenceIsSaid(t *testing.T) {
	for _, tt := range []struct {
		lasts time.Duration
		said  bool
	}{{patience - 1, false}, {patience + 1, true}} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			cmd := &cobra.Command{}
			cmd.SetErr(&out)
			err := patiently(cmd, func() error { time.Sleep(tt.lasts); synctest.Wait(); return nil }) // no time passes
			if said := strings.Contains(out.String(), "The coordinator does not answer"); err != nil || said != tt.said {
				t.Errorf("%s: %q, %v", tt.lasts, out.String(), err)
			}
		})
	}
}
