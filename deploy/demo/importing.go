package demo

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"

	"coulisse/deploy/demo/houses"
	"coulisse/node/importer"
	"coulisse/protocol"
)

var (
	importTitle = text("Importer", "Import")
	importTale  = text(
		"Chaque membre dépose l’export de sa billetterie ou de ses abonnements tel qu’il est, avec son encodage, son séparateur, ses en-têtes et sa façon d’écrire les dates et les consentements. Les données restent dans son nœud.",
		"Each member drops in the export of its ticketing or subscriptions as it is, with its own encoding, separator, headings and way of writing dates and consents. The data stay in its node.")
)

const dirExports = "exports"

// taken is what a node says of its import.
type taken struct {
	report importer.Report
	people int64
	pooled int64
}

func (s *story) importExports(ctx context.Context) error {
	if err := os.MkdirAll(s.path(dirExports), 0o700); err != nil {
		return err
	}
	all := make([]taken, len(houses.All()))
	var counting sync.Mutex
	done := 0
	err := everywhere(ctx, func(ctx context.Context, i int, house houses.House) error {
		var err error
		all[i], err = s.importOne(ctx, house)
		counting.Lock()
		defer counting.Unlock()
		done++
		s.progress(text("%s exports sur %s importés", "%s of %s exports imported"), done, len(all))
		return err
	})
	if err != nil {
		return err
	}
	rows, refused := s.showImports(all)
	s.counted(text("%s lignes", "%s rows"), rows)
	s.done(text("%s lignes lues; %s refusées, comptées par motif et jamais en silence", "%s rows read; %s refused, counted by reason and never in silence"), rows, refused)
	return nil
}

func (s *story) importOne(ctx context.Context, house houses.House) (taken, error) {
	var t taken
	path := filepath.Join(dirExports, house.File)
	if err := unpack(house, s.path(path)); err != nil {
		return t, err
	}
	var err error
	t.report, err = read[importer.Report](ctx, s.f, "import", path, "--kind", string(house.FileKind), "--dir", string(house.ID))
	if err != nil {
		return t, err
	}
	status, err := s.f.ask(house.ID).Status(ctx)
	t.people, t.pooled = status.Warehouse.People, status.Warehouse.Consented[protocol.PurposePooling]
	return t, err
}

// unpack writes an export where the member's staff would have put it.
func unpack(house houses.House, path string) error {
	export, err := house.Open()
	if err != nil {
		return err
	}
	defer export.Close()
	content, err := io.ReadAll(export)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// showImports adds up the rows that were read and refused.
func (s *story) showImports(all []taken) (rows, refused int64) {
	say := func(fr, en string) string { return s.screen.say(text(fr, en)) }
	t := &table{columns: []column{
		left(say("Membre", "Member")), left(say("Encodage", "Encoding")), right(say("Lignes", "Rows")),
		right(say("Refusées", "Refused")), right(say("Gens", "People")), right(say("Consentent", "Consent")),
	}}
	lang := s.screen.lang
	for i, house := range houses.All() {
		r := all[i].report
		t.add(house.Name.In(lang), string(r.Encoding), number(r.Rows, lang), number(r.Refused, lang),
			number(all[i].people, lang), number(all[i].pooled, lang))
		rows, refused = rows+r.Rows, refused+r.Refused
	}
	s.screen.table(t)
	return rows, refused
}
