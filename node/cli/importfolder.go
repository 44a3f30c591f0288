package cli

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coulisse/node/api"
	"coulisse/node/importer"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

// settled is how long a file must have stayed as it is before it is taken from a
// folder: others put files there, and one that is half there is a file too.
const settled = time.Minute

// fileOutcome is what became of a file of a folder.
type fileOutcome struct {
	File    string           `json:"file"`
	Outcome string           `json:"outcome"`
	Report  *importer.Report `json:"report,omitempty"`
	Why     *protocol.Text   `json:"why,omitempty"`
}

// The outcomes. Only what was refused makes the command fail.
const (
	outcomeTaken   = "taken"
	outcomeBefore  = "taken-before"
	outcomeRefused = "refused"
	outcomeWaiting = "waiting" // it is still being written
)

var errFolder = said{errors.New("files of the folder were refused"), protocol.Text{
	FR: "Des fichiers du dossier ont été refusés\u00a0; les autres sont pris. Corrigez-les, et recommencez.",
	EN: "Files of the folder were refused; the others are taken. Correct them, and start again."}}

// importFolder takes the files of a folder in, in the order of their names, each
// by itself. The node knows those that it took before by their bytes, so that
// the same folder may be given again and again.
func importFolder(cmd *cobra.Command, folder string, o importer.Options) error {
	entries, err := os.ReadDir(folder) // sorted
	if err != nil {
		return inWords(err)
	}
	asked, _ := cmd.Flags().GetBool("json")
	p := printing(cmd)
	outcomes := []fileOutcome{}
	for _, entry := range entries {
		if !wanted(entry) {
			continue
		}
		o.File = entry.Name()
		outcome, err := folderFile(cmd, filepath.Join(folder, entry.Name()), o)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, outcome)
		if !asked {
			p.fromFolder(outcome)
		}
	}
	if asked {
		err = listing(cmd, outcomes, nil)
	} else if len(outcomes) == 0 {
		p.line("Le dossier n'a pas de fichier à prendre.", "The folder has no file to take.")
	}
	if slices.ContainsFunc(outcomes, func(f fileOutcome) bool { return f.Outcome == outcomeRefused }) {
		return cmp.Or(err, p.err, error(errFolder))
	}
	return cmp.Or(err, p.err)
}

// wanted leaves out what programs keep beside files: hidden ones, the locks of
// Excel and LibreOffice, and what a transfer has not finished.
func wanted(entry os.DirEntry) bool {
	name := strings.ToLower(entry.Name())
	unfinished := []string{".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".lock"}
	return entry.Type().IsRegular() && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "~") &&
		!slices.Contains(unfinished, filepath.Ext(name))
}

// folderFile takes one of them. The error is one that the other files would meet
// as well.
func folderFile(cmd *cobra.Command, path string, o importer.Options) (fileOutcome, error) {
	outcome := fileOutcome{File: o.File, Outcome: outcomeTaken}
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) < settled {
		outcome.Outcome = outcomeWaiting
		return outcome, nil
	}
	report, err := takeFile(cmd, path, o)
	outcome.Report = report
	var fault *api.Fault
	switch {
	case err == nil:
	case errors.As(err, &fault) && fault.Reason == api.ReasonTaken:
		outcome.Outcome, outcome.Report = outcomeBefore, nil
	case errors.As(err, &fault) && fault.Reason == api.ReasonFile:
		outcome.Outcome, outcome.Why = outcomeRefused, &fault.Text
	default:
		return outcome, err
	}
	return outcome, nil
}

func (p *printer) fromFolder(f fileOutcome) {
	p.print(f.File + "\n")
	switch f.Outcome {
	case outcomeBefore:
		p.line("  Déjà pris.", "  Taken before.")
	case outcomeWaiting:
		p.line("  Modifié il y a moins d'une minute\u00a0: il sera pris la prochaine fois.", "  Changed less than a minute ago: it will be taken next time.")
	case outcomeRefused:
		p.print("  " + command.Say(p.lang, f.Why.FR, f.Why.EN) + "\n")
	}
	if f.Report != nil && p.err == nil {
		p.err = f.Report.Render(p.out, p.lang)
	}
}
