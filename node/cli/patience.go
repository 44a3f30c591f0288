package cli

import (
	"context"
	"time"

	"coulisse/node"
	"coulisse/node/api"

	"github.com/spf13/cobra"
)

// patience is how long a command waits before it says that it waits.
const patience = 5 * time.Second

// patiently does what takes the coordinator's answer, and says so on standard
// error if that is long in coming.
func patiently(cmd *cobra.Command, do func() error) error {
	said := time.AfterFunc(patience, newProgress(cmd).stillTrying)
	defer said.Stop()
	return do()
}

func (p *progress) stillTrying() {
	p.line("Le coordonnateur ne répond pas\u00a0; on réessaie. Ctrl-C cesse d'attendre, rien n'est perdu.",
		"The coordinator does not answer; still trying. Ctrl-C stops waiting, nothing is lost.")
}

// followPatiently follows a round. A round may take its time: where nothing
// has changed for a while, the node is asked whether the coordinator answers,
// and its silence is said once.
func followPatiently(ctx context.Context, bar *progress, c *api.Client, id string, tell func(node.RoundProgress) error) error {
	events, ended := make(chan node.RoundProgress), make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		ended <- c.Follow(ctx, id, func(r node.RoundProgress) error {
			select {
			case events <- r:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	silence := time.NewTicker(patience)
	defer silence.Stop()
	said := false
	for {
		select {
		case err := <-ended:
			return err
		case r := <-events:
			said = false
			silence.Reset(patience)
			if err := tell(r); err != nil {
				return err
			}
		case <-silence.C:
			if status, err := c.Status(ctx); !said && err == nil && status.Unanswered {
				bar.clear()
				bar.stillTrying()
				said = true
			}
		}
	}
}
