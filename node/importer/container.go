package importer

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	unicode16 "unicode/utf16"

	"coulisse/node/importer/xlsx"
)

// Bounds of an archive: of its list of parts, which is read into memory, and of
// the whole. A workbook that is full has some hundreds of megabytes.
const (
	maxDirectory = 4 << 20
	maxWorkbook  = 2 << 30
)

// archive recognises what comes in a ZIP archive, and opens a workbook of Excel.
func (j *job) archive() (layout, error) {
	if j.report.Bytes > maxWorkbook {
		return layout{}, workbookTooLarge
	}
	file := j.random()
	if err := boundedDirectory(file, j.report.Bytes); err != nil {
		return layout{}, err
	}
	z, err := zip.NewReader(file, j.report.Bytes)
	if err != nil {
		return layout{}, damagedWorkbook
	}
	if err := knownArchive(z); err != nil {
		return layout{}, err
	}
	book, err := xlsx.Open(z, j.options.SpoolDir)
	if err != nil {
		return layout{}, workbookProblem(err)
	}
	l, err := findSheet(book, j.options, j.pass)
	if err != nil {
		book.Close()
	}
	return l, err
}

// boundedDirectory refuses an archive whose list of parts would fill memory: it
// lies between where the archive's end says and the end.
func boundedDirectory(file io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, 1<<16+128))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || at+22 > len(tail) {
		return damagedWorkbook
	}
	begin := int64(binary.LittleEndian.Uint32(tail[at+16:]))
	if begin == 1<<32-1 { // the end of ZIP64 stands before, and has it
		far := bytes.LastIndex(tail[:at], []byte("PK\x06\x06"))
		if far < 0 || far+56 > len(tail) {
			return damagedWorkbook
		}
		begin = int64(binary.LittleEndian.Uint64(tail[far+48:]))
	}
	switch {
	case begin < 0 || begin > size:
		return damagedWorkbook
	case size-begin > maxDirectory:
		return workbookTooLarge
	}
	return nil
}

// knownArchive refuses the archives that are no workbook of Excel, by what is
// in them.
func knownArchive(z *zip.Reader) error {
	office := false
	for _, f := range z.File {
		switch name := strings.ToLower(f.Name); {
		case name == "mimetype" && mimeType(f) == "application/vnd.oasis.opendocument.spreadsheet":
			return openDocument
		case name == "mimetype":
			return notText("un document LibreOffice ou un livre numérique", "a LibreOffice document or an e-book")
		case strings.HasSuffix(name, ".iwa"), name == "index.zip":
			return numbersDocument
		case name == "xl/workbook.bin":
			return binaryWorkbook
		case strings.HasPrefix(name, "word/"):
			return notText("un document Word", "a Word document")
		case strings.HasPrefix(name, "ppt/"):
			return notText("une présentation PowerPoint", "a PowerPoint presentation")
		case name == "[content_types].xml":
			office = true
		}
	}
	if !office {
		return zipArchive
	}
	return nil
}

func mimeType(f *zip.File) string {
	r, err := f.Open()
	if err != nil {
		return ""
	}
	defer r.Close()
	text := make([]byte, 64)
	n, _ := io.ReadFull(r, text)
	return strings.TrimSpace(string(text[:n]))
}

// compound tells apart what comes in a compound file of Microsoft's: workbooks
// up to Excel 2003, and newer ones under a password. The names of its streams
// stand in the sector that the header names.
func (j *job) compound() error {
	file := j.random()
	header := make([]byte, 52)
	if _, err := file.ReadAt(header, 0); err != nil {
		return oldWorkbook
	}
	shift := binary.LittleEndian.Uint16(header[30:])
	if shift != 9 && shift != 12 {
		return oldWorkbook
	}
	directory := make([]byte, 4096) // 32 names
	at := (int64(binary.LittleEndian.Uint32(header[48:])) + 1) << shift
	if n, err := file.ReadAt(directory, at); err != nil && err != io.EOF {
		return err
	} else {
		directory = directory[:n]
	}
	for _, stream := range []struct {
		name  string
		found *Problem
	}{{"EncryptedPackage", passwordProtected}, {"WordDocument", notText("un ancien document Word", "an old Word document")}} {
		if bytes.Contains(directory, inUTF16(stream.name)) {
			return stream.found
		}
	}
	return oldWorkbook
}

func inUTF16(s string) (b []byte) {
	for _, c := range unicode16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

// workbookProblem puts an error of package xlsx in words.
func workbookProblem(err error) error {
	switch {
	case errors.Is(err, xlsx.ErrTooLarge):
		return workbookTooLarge
	case errors.Is(err, xlsx.ErrDamaged):
		return damagedWorkbook
	}
	return err
}

var (
	damagedWorkbook = problem(ProblemDamaged,
		"Le classeur est abîmé ou incomplet : ouvrez-le dans Excel, puis Fichier > Enregistrer sous, et importez la copie. S'il ne s'ouvre pas, exportez-le de nouveau.",
		"The workbook is damaged or incomplete: open it in Excel, then File > Save As, and import the copy. If it does not open, export it again.")
	workbookTooLarge = problem(ProblemTooLarge,
		"Le classeur dépasse ce qu'Excel lui-même permet, ou ce qui peut être lu sans risque : ouvrez-le, puis Fichier > Enregistrer sous > « CSV UTF-8 ».",
		"The workbook is larger than Excel itself allows, or than can be read safely: open it, then File > Save As > \"CSV UTF-8\".")
	oldWorkbook = problem(ProblemWorkbook,
		"C'est un ancien classeur Excel (.xls) : ouvrez-le, puis Fichier > Enregistrer sous > « Classeur Excel (.xlsx) ».",
		"This is an old Excel workbook (.xls): open it, then File > Save As > \"Excel Workbook (.xlsx)\".")
	binaryWorkbook = problem(ProblemWorkbook,
		"C'est un classeur Excel binaire (.xlsb) : ouvrez-le, puis Fichier > Enregistrer sous > « Classeur Excel (.xlsx) ».",
		"This is a binary Excel workbook (.xlsb): open it, then File > Save As > \"Excel Workbook (.xlsx)\".")
	openDocument = problem(ProblemWorkbook,
		"C'est un classeur LibreOffice (.ods) : ouvrez-le, puis Fichier > Enregistrer sous > « Excel 2007-365 (.xlsx) ».",
		"This is a LibreOffice workbook (.ods): open it, then File > Save As > \"Excel 2007-365 (.xlsx)\".")
	numbersDocument = problem(ProblemWorkbook,
		"C'est un document Numbers d'Apple : ouvrez-le, puis Fichier > Exporter vers > Excel.",
		"This is an Apple Numbers document: open it, then File > Export To > Excel.")
	passwordProtected = problem(ProblemPassword,
		"Le classeur est protégé par un mot de passe : ouvrez-le, puis Fichier > Informations > Protéger le classeur > Chiffrer avec mot de passe, effacez le mot de passe et enregistrez.",
		"The workbook is protected by a password: open it, then File > Info > Protect Workbook > Encrypt with Password, clear the password and save.")
	zipArchive = problem(ProblemNotText,
		"C'est une archive ZIP : extrayez-en le fichier, puis importez-le.",
		"This is a ZIP archive: extract the file in it, then import that.")
)
