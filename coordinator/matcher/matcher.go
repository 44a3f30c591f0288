// Package matcher is the coordinator's part in match rounds: protocol.md, section
// 4a. It takes in each source's upload once, keeps it on disk while the round is
// open, merges all of them, hands each recipient its labels, and deletes
// everything when the round closes.
//
// It does not decide anything: who takes part, what was announced, when a round
// opens, what noise is added and who may have labels are settled in the
// replicated state, and its callers say so. It speaks no network either; uploads
// come as readers.
//
// What is on disk are pseudonymous personal data: which pseudonyms are in which
// member's set. They are sealed for a key that each round draws and that exists in
// this process's memory alone, so that closing a round, stopping the process and a
// crash all erase them. Nodes keep the bytes of their upload until the round
// closes, and send the same ones again to a matcher that has lost them.
package matcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/checkup"
	"coulisse/protocol/match"
	"coulisse/protocol/refusal"
)

// Errors of the matcher, beside those of the upload's format, which are package
// match's, such as [match.ErrLength].
var (
	// ErrConflict: something else was accepted before. There is one manifest a
	// round, and one upload a source: the first one stands.
	ErrConflict = fmt.Errorf("%w: what was accepted first stands", refusal.ErrConflict)
	// ErrReplaced: the source goes on with its upload over a later connection.
	ErrReplaced = fmt.Errorf("%w: this source is sending its upload over another connection", refusal.ErrUnavailable)
	// ErrQuota: the round's files would need more disk than a round may take. The
	// operator raises the quota, or the round is split.
	ErrQuota = fmt.Errorf("%w: the round needs more disk than its quota", refusal.ErrFull)
	// ErrNoRoom: the disk is nearly full, and what is left is for the log. The
	// node sends its upload again until there is room.
	ErrNoRoom = protocol.Refuse(refusal.ErrFull,
		"le disque du coordonnateur est presque plein et ne prend plus d'envois\u00a0; rien n'est perdu, le bureau doit faire de la place, et le nœud renverra le sien",
		"the coordinator's disk is nearly full and takes no more uploads; nothing is lost, the office has to make room, and the node will send its own again")
	// ErrNotAnnounced: the upload is not the one in the notice, or is for another
	// round or source. The node sends the bytes whose digest it signed.
	ErrNotAnnounced = fmt.Errorf("%w: the upload is not the one that was announced", protocol.ErrMalformed)
	// ErrIncomplete: not every source has uploaded. A subset is never opened.
	ErrIncomplete = errors.New("uploads are missing")
	// ErrNotReady: there are no labels yet, or none any more since another
	// replica made them. They come once every source has sent its upload again.
	ErrNotReady = fmt.Errorf("%w: the round has not been run here", refusal.ErrNotReady)
	// ErrNotRecipient: the manifest does not let this source have labels.
	ErrNotRecipient = errors.New("this source is not a recipient of the round")
	// ErrClosed: the round was closed meanwhile. If it is live, begin again.
	ErrClosed = errors.New("the round was closed")
)

// Config is where and how much the matcher stores.
type Config struct {
	// Folder is the matcher's own; one process uses it at a time.
	Folder string
	// Quota is how many bytes the files of one round may take on disk;
	// [DefaultQuota] if it is 0.
	Quota int64
	// Memory is how many bytes receiving and merging may hold at once, over all
	// rounds; [DefaultMemory] if it is 0, and not less than [MinMemory]. What does
	// not fit waits in line.
	Memory int64
}

// spare is what uploads leave free on the disk. It is more than the log needs to
// go on: uploads can be sent again, a vote cannot wait.
const spare = 128 << 20

// DefaultQuota has room for 500 million records, sixteen times what 150 members
// with ten million people are expected to send.
const DefaultQuota = 8 << 30

// Matcher holds the open rounds. It is safe for concurrent use.
type Matcher struct {
	folder  string
	quota   int64
	free    func() (bytes uint64, known bool) // on the folder's disk
	arrived chan struct{}                     // room for one: a signal, not a count
	memory  memory

	// mu guards rounds and everything in them that changes. It is never held
	// while an upload is read or written, so that one slow node delays nobody.
	mu     sync.Mutex
	rounds map[protocol.RoundID]*round
	// leftover are folders of closed rounds that are not deleted yet.
	leftover []string
}

// round is an open round.
type round struct {
	manifest protocol.Hash
	folder   string
	// identity opens the round's files. It is nowhere else.
	identity *seal.Identity
	// ctx ends when the round closes, for ErrClosed.
	ctx   context.Context
	close context.CancelCauseFunc
	// running has room for one: whoever merges.
	running chan struct{}
	// intakes are the uploads under way. None begins once ctx has ended.
	intakes sync.WaitGroup

	// Guarded by Matcher.mu.
	spools  map[protocol.SourceName]*spool
	used    int64 // bytes on disk, reserved or taken
	outcome *match.Outcome
}

// spool is one source's upload.
type spool struct {
	digest   protocol.Hash
	intake   *intake // while it is received
	accepted bool
}

// folderMark stands between a round and the random part in a folder's name.
const folderMark = "-"

// Open makes the folder if need be, and deletes what an earlier process left in
// it: nobody can read that any more.
func Open(c Config) (*Matcher, error) {
	if c.Quota == 0 {
		c.Quota = DefaultQuota
	}
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("open the matcher's folder: %w", err)
	}
	entries, err := os.ReadDir(c.Folder)
	if err != nil {
		return nil, fmt.Errorf("open the matcher's folder: %w", err)
	}
	for _, e := range entries {
		// Only what this package makes: a wrong path in a configuration must not
		// cost somebody else's files.
		id, _, made := strings.Cut(e.Name(), folderMark)
		if !e.IsDir() || !made || protocol.RoundID(id).Check() != nil {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.Folder, e.Name())); err != nil {
			return nil, fmt.Errorf("delete an old round: %w", err)
		}
	}
	m := &Matcher{
		folder: c.Folder, quota: c.Quota, free: func() (uint64, bool) { return checkup.FreeBytes(c.Folder) },
		arrived: make(chan struct{}, 1), rounds: map[protocol.RoundID]*round{},
	}
	m.memory = newMemory(max(cmp.Or(c.Memory, DefaultMemory), MinMemory), m.spare)
	return m, nil
}

// spare ends the uploads that were broken off: they hold memory that others wait
// for, and begin again when their senders come back.
func (m *Matcher) spare() {
	m.mu.Lock()
	var idle []*intake
	for _, rd := range m.rounds {
		for _, s := range rd.spools {
			if s.intake != nil {
				idle = append(idle, s.intake)
			}
		}
	}
	m.mu.Unlock()
	for _, in := range idle {
		in.giveUp()
	}
}

// open returns the round of an announcement, which its first upload opens. The
// caller holds mu.
func (m *Matcher) open(a Announcement) (*round, error) {
	if rd := m.rounds[a.Round]; rd != nil {
		if rd.manifest != a.Manifest {
			return nil, ErrConflict
		}
		return rd, nil
	}
	identity, err := seal.NewIdentity()
	if err != nil {
		return nil, err
	}
	// A folder of its own, readable by this user alone, each time that a round
	// begins: what is left of an earlier beginning cannot get into it.
	folder, err := os.MkdirTemp(m.folder, string(a.Round)+folderMark+"*")
	if err != nil {
		return nil, err
	}
	rd := &round{
		manifest: a.Manifest, folder: folder, identity: identity,
		running: make(chan struct{}, 1),
		spools:  map[protocol.SourceName]*spool{},
	}
	rd.ctx, rd.close = context.WithCancelCause(context.Background())
	m.rounds[a.Round] = rd
	return rd, nil
}

// Arrived receives after uploads were accepted: once for one or for several. It is
// for one receiver.
func (m *Matcher) Arrived() <-chan struct{} { return m.arrived }

// Held is how many bytes the uploads of open rounds take on disk, or have
// reserved.
func (m *Matcher) Held() (bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rd := range m.rounds {
		bytes += rd.used
	}
	return bytes
}

// Have lists the sources whose upload was accepted, ascending.
func (m *Matcher) Have(id protocol.RoundID) (have []protocol.SourceName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if rd := m.rounds[id]; rd != nil {
		for name, s := range rd.spools {
			if s.accepted {
				have = append(have, name)
			}
		}
	}
	slices.Sort(have)
	return have
}

// Complete reports whether every source of the manifest has uploaded.
func (m *Matcher) Complete(id protocol.RoundID, manifest protocol.Manifest) bool {
	_, err := m.complete(id, manifest)
	return err == nil
}

// Close forgets a round's key and deletes its files. Whatever still works on the
// round ends with [ErrClosed] at its next read. Closing a closed round is fine.
// After an error the files are unreadable but there; Sweep tries them again.
func (m *Matcher) Close(id protocol.RoundID) error {
	m.mu.Lock()
	rd := m.rounds[id]
	delete(m.rounds, id)
	if rd != nil {
		rd.close(ErrClosed)
	}
	m.mu.Unlock()
	if rd == nil {
		return nil
	}
	rd.intakes.Wait() // they take no connection to end
	return m.remove(rd.folder)
}

// Sweep closes every round that is not among the live ones. A replica that leads
// no more closes all of them: the next matcher gets the uploads from the nodes.
func (m *Matcher) Sweep(live ...protocol.RoundID) error {
	m.mu.Lock()
	var stale []protocol.RoundID
	for id := range m.rounds {
		if !slices.Contains(live, id) {
			stale = append(stale, id)
		}
	}
	leftover := m.leftover
	m.leftover = nil
	m.mu.Unlock()
	var errs []error
	for _, folder := range leftover {
		errs = append(errs, m.remove(folder))
	}
	for _, id := range stale {
		errs = append(errs, m.Close(id))
	}
	return errors.Join(errs...)
}

// maxRemovals bounds the files that may appear while a folder is deleted: one a
// source of a round.
const maxRemovals = protocol.MaxSources

// remove deletes the folder of a closed round, or remembers it.
func (m *Matcher) remove(folder string) error {
	err := os.RemoveAll(folder)
	// A run that has just been told to end may still put a file into a folder
	// that was read as empty; once it is gone, none can.
	for tries := 0; errors.Is(err, syscall.ENOTEMPTY) && tries < maxRemovals; tries++ {
		err = os.RemoveAll(folder)
	}
	if err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leftover = append(m.leftover, folder)
	return fmt.Errorf("delete the files of a round: %w", err)
}

// tidy deletes what a run wrote while the round was being closed.
func (m *Matcher) tidy(rd *round) {
	if rd.ctx.Err() != nil {
		_ = m.remove(rd.folder) // Sweep tries again
	}
}

func (rd *round) uploadPath(s protocol.SourceName) string {
	return filepath.Join(rd.folder, string(s)+".upload")
}

func (rd *round) labelsPath(s protocol.SourceName) string {
	return filepath.Join(rd.folder, string(s)+".labels")
}
