// Package demo is the demonstration federation: three coordinator replicas, six
// houses and a local newspaper, all on this machine, who pool an audience.
//
// It starts the program's own subcommands as child processes and then does
// nothing that a member or the co-operative's office could not do: what it
// knows of the federation, it reads with their commands. Two things it does
// besides, and says so on the screen: it plays a member that cheats, to show
// what the others answer, and it counts the invented people one simple way
// (package oracle), to compare.
//
// It is no test harness and no deployment: keys of seven organisations never
// lie in one folder elsewhere.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"coulisse/deploy/demo/houses/oracle"
	"coulisse/protocol"
)

// Options are how the demonstration is run.
type Options struct {
	// Lang is "fr", else English.
	Lang string
	// Dir is the folder to work in, which must be new or empty; one of the
	// system's temporary folders if empty.
	Dir string
	// Keep leaves the federation running at the end until ctx ends, and its
	// folder after that.
	Keep bool
	// Program is the executable to start; this one if empty.
	Program string
	// Version is what the program calls itself.
	Version string
	// Out is where the story is told.
	Out io.Writer
	// Between is called before every step with its name, and with "end" when
	// everything is told and still runs. It is for tests.
	Between func(step string, f *Federation) error
}

// Outcome is what the demonstration computed, with the truth beside it.
type Outcome struct {
	Federation protocol.Hash
	Round      protocol.RoundID
	Result     protocol.Result
	// Labels are what the newspaper's node learnt about its own readers.
	Labels oracle.Labels
	// Truth and TrueLabels are counted over the invented people.
	Truth      int
	TrueLabels oracle.Labels
}

// Run tells the whole story. Whatever happens, no process is left behind; the
// folder is removed unless it is to be kept.
func Run(ctx context.Context, o Options) (outcome Outcome, err error) {
	if o.Program == "" {
		if o.Program, err = os.Executable(); err != nil {
			return outcome, fmt.Errorf("find this program: %w", err)
		}
	}
	dir, remove, err := folder(o.Dir)
	if err != nil {
		return outcome, err
	}
	if !o.Keep {
		defer func() { err = errors.Join(err, remove()) }()
	}
	screen := newScreen(o.Out, o.Lang)
	if o.Keep { // once everything has ended, well or not
		defer func() { screen.paragraph(screen.say(leftTale, dir)) }()
	}
	f, err := newFederation(ctx, dir, o.Program, o.Lang)
	if err != nil {
		return outcome, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	s := &story{f: f, screen: screen, version: o.Version, between: o.Between}
	if err := s.tell(f.ctx); err != nil {
		return s.outcome, err
	}
	if o.Keep {
		s.leave()
		<-f.ctx.Done()
		if cause := context.Cause(f.ctx); !errors.Is(cause, context.Canceled) {
			return s.outcome, cause
		}
	}
	return s.outcome, nil
}

var errDir = errors.New("the folder cannot be used")

// maxDir leaves room, in the 103 bytes that every system gives a socket's path,
// for the longest member's name and the socket's.
const maxDir = 103 - len("/festival-brise-nuit/node.sock")

// folder prepares the place to work in, and tells how to remove what was put
// into it.
func folder(wanted string) (dir string, remove func() error, err error) {
	if wanted == "" {
		if dir, err = os.MkdirTemp("", "coulisse-"); err != nil {
			return "", nil, err
		}
		remove = func() error { return os.RemoveAll(dir) }
		if err := checkLength(dir); err != nil {
			return "", nil, errors.Join(err, remove())
		}
		return dir, remove, nil
	}
	if dir, err = filepath.Abs(wanted); err != nil {
		return "", nil, err
	}
	if err := checkLength(dir); err != nil {
		return "", nil, err
	}
	made := !exists(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	if len(entries) > 0 {
		return "", nil, protocol.Refuse(errDir,
			"le dossier %s n'est pas vide; donnez-en un nouveau avec --dir, ou aucun", "the folder %s is not empty; give a new one with --dir, or none", dir)
	}
	return dir, func() error { return empty(dir, made) }, nil
}

func checkLength(dir string) error {
	if len(dir) <= maxDir {
		return nil
	}
	return protocol.Refuse(errDir,
		"le chemin %s est trop long pour les sockets des nœuds; donnez avec --dir un dossier plus proche de la racine",
		"the path %s is too long for the nodes' sockets; give a folder nearer to the root with --dir", dir)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// empty removes what is in a folder that was empty before, and the folder if
// the demonstration made it.
func empty(dir string, made bool) error {
	if made {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}
