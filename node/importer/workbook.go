package importer

import (
	"errors"
	"slices"

	"coulisse/node/importer/xlsx"
)

// sheetRows reads a sheet of a workbook.
type sheetRows struct{ *xlsx.Rows }

func (s sheetRows) next() (row, error) {
	r, err := s.Next()
	if err != nil {
		return row{}, workbookProblem(err)
	}
	next := row{line: r.Number, cells: r.Cells, typed: r.Typed, hidden: r.Hidden}
	if r.Long {
		next.broken = ReasonRowTooLong
	}
	return next, nil
}

// findSheet finds the one sheet of a workbook that has the columns, and reads
// it with begin called before each pass.
func findSheet(book *xlsx.Book, o Options, begin func()) (layout, error) {
	sheets := book.Sheets()
	wanted := fold(o.Mapping.Sheet)
	fit, headers, failure, err := fitting(book, o, func(s xlsx.Sheet) bool {
		return wanted == "" && !s.Hidden || wanted != "" && fold(s.Name) == wanted
	})
	switch {
	case err != nil:
		return layout{}, err
	case len(fit) > 1:
		return layout{}, severalSheets(sheets, fit)
	case len(fit) == 1:
		return sheetLayout(book, fit[0], headers[0], begin), nil
	case wanted != "" && failure != nil:
		return layout{}, failure
	case wanted != "":
		return layout{}, noSuchSheet(sheets)
	}
	hidden, _, _, err := fitting(book, o, func(s xlsx.Sheet) bool { return s.Hidden })
	switch {
	case err != nil:
		return layout{}, err
	case len(hidden) > 0:
		return layout{}, hiddenSheets(sheets, hidden)
	case failure == nil:
		return layout{}, emptyFile
	}
	return layout{}, failure
}

// fitting finds the sheets with the columns among some, and what the first of
// the others lacks. An error is of the workbook itself.
func fitting(book *xlsx.Book, o Options, among func(xlsx.Sheet) bool) (fit []int, headers []header, failure, err error) {
	for i, sheet := range book.Sheets() {
		if !among(sheet) {
			continue
		}
		t, err := book.Rows(i, func(int) bool { return true })
		if err != nil {
			return nil, nil, nil, workbookProblem(err)
		}
		h, err := findHeader(sheetRows{t}, o.Kind, o.Mapping)
		var p *Problem
		switch {
		case err == nil:
			fit, headers = append(fit, i), append(headers, h)
		case !errors.As(err, &p) || p.Code == ProblemDamaged || p.Code == ProblemTooLarge:
			return nil, nil, nil, err
		case failure == nil || errors.Is(failure, emptyFile):
			failure = err
		}
	}
	return fit, headers, failure, nil
}

func sheetLayout(book *xlsx.Book, sheet int, h header, begin func()) layout {
	l := layout{format: Workbook, header: h, since1904: book.Since1904(), close: book.Close}
	for i, s := range book.Sheets() {
		if i == sheet {
			l.sheet = s.Name
		} else {
			l.others = append(l.others, s.Name)
		}
	}
	// What is merged over rows describes each of them, but for what adds up.
	repeated := make(map[int]bool)
	for field, column := range h.column {
		repeated[column] = !slices.Contains([]Field{FieldQuantity, FieldAmount, FieldUnitPrice}, field)
	}
	l.open = func() (rows, error) {
		begin()
		t, err := book.Rows(sheet, func(column int) bool { return repeated[column] })
		if err != nil {
			return nil, workbookProblem(err)
		}
		return below(sheetRows{t}, h.line)
	}
	return l
}

func sheetNames(sheets []xlsx.Sheet, which func(int) bool) (list []string) {
	for i, s := range sheets {
		if which(i) {
			list = append(list, s.Name)
		}
	}
	return list
}

func severalSheets(sheets []xlsx.Sheet, fit []int) error {
	return problem(ProblemSheet,
		"Plusieurs feuilles du classeur ont les colonnes attendues : %[1]s. Nommez celle qu'il faut lire : --sheet \"%[2]s\". Pour les prendre toutes, importez le fichier une fois par feuille.",
		"Several sheets of the workbook have the columns: %[1]s. Name the one to read: --sheet \"%[2]s\". To take all of them, import the file once for each sheet.",
		shownList(sheetNames(sheets, func(i int) bool { return slices.Contains(fit, i) })), shown(sheets[fit[0]].Name))
}

func noSuchSheet(sheets []xlsx.Sheet) error {
	return problem(ProblemSheet,
		"Le classeur n'a pas de feuille de ce nom. Il a : %[1]s. Nommez-en une avec --sheet.",
		"The workbook has no sheet of that name. It has: %[1]s. Name one with --sheet.",
		shownList(sheetNames(sheets, func(int) bool { return true })))
}

func hiddenSheets(sheets []xlsx.Sheet, hidden []int) error {
	return problem(ProblemSheet,
		"Les colonnes attendues ne sont que sur une feuille masquée : %[1]s. Affichez-la et enregistrez, ou nommez-la avec --sheet si elle est la bonne.",
		"The columns are only on a sheet that is hidden: %[1]s. Unhide it and save, or name it with --sheet if it is the right one.",
		shownList(sheetNames(sheets, func(i int) bool { return slices.Contains(hidden, i) })))
}
