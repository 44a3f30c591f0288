package importer

import (
	"bytes"
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// Encoding is how a file's bytes stand for text, under the name that the IANA
// gave it.
type Encoding string

// The encodings that spreadsheets write.
const (
	UTF8        Encoding = "utf-8"
	UTF16LE     Encoding = "utf-16le"
	UTF16BE     Encoding = "utf-16be"
	Windows1252 Encoding = "windows-1252" // and ISO-8859-1, of which it is a superset
	MacRoman    Encoding = "macintosh"
	CodePage850 Encoding = "ibm850" // "CSV (MS-DOS)"
	latin1      Encoding = "iso-8859-1"
)

// decoders has what the standard library does not read by itself.
var decoders = map[Encoding]encoding.Encoding{
	UTF16LE:     unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	UTF16BE:     unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	Windows1252: charmap.Windows1252,
	MacRoman:    charmap.Macintosh,
	CodePage850: charmap.CodePage850,
	latin1:      charmap.ISO8859_1,
}

func (e Encoding) known() bool { return e == UTF8 || decoders[e] != nil }

// decode returns the text of a file in UTF-8, without its byte order mark.
// Bytes that are no UTF-8 in a file of UTF-8 pass: their row is refused.
func (e Encoding) decode(file io.Reader) io.Reader {
	if e == UTF8 {
		return &markSkipper{source: file}
	}
	return decoders[e].NewDecoder().Reader(file)
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// markSkipper drops the byte order mark of UTF-8.
type markSkipper struct {
	source io.Reader
	head   []byte // read while looking for the mark, and still to be given
	past   bool
}

func (m *markSkipper) Read(p []byte) (int, error) {
	if !m.past {
		m.past = true
		head := make([]byte, len(byteOrderMark))
		n, err := io.ReadFull(m.source, head)
		if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
			return 0, err
		}
		if head = head[:n]; !bytes.Equal(head, byteOrderMark) {
			m.head = head
		}
	}
	if len(m.head) > 0 {
		n := copy(p, m.head)
		m.head = m.head[n:]
		return n, nil
	}
	return m.source.Read(p)
}

// magic recognises files that are not text by how they start.
var magic = []struct {
	start []byte
	found *Problem
}{
	{[]byte("%PDF"), notText("un document PDF", "a PDF document")},
	{[]byte("\x1f\x8b"), notText("un fichier compressé (gzip)", "a compressed file (gzip)")},
	{[]byte("{\\rtf"), notText("un document texte enrichi (RTF)", "a rich text document (RTF)")},
	{[]byte("SQLite format 3"), notText("une base de données SQLite", "an SQLite database")},
	{[]byte("\x89PNG"), notText("une image", "an image")},
	{[]byte("\xff\xd8\xff"), notText("une image", "an image")},
	{[]byte("\xff\xfe\x00\x00"), unknownEncoding},
	{[]byte("\x00\x00\xfe\xff"), unknownEncoding},
	{[]byte("MIME-Version:"), webPage},
	{[]byte("<"), webPage}, // no heading starts so
}

var (
	webPage = problem(ProblemWorkbook,
		"C'est une page web ou du XML, parfois nommé .xls par un logiciel de billetterie : ouvrez-le dans un tableur, puis Fichier > Enregistrer sous > « Classeur Excel (.xlsx) ».",
		"This is a web page or XML, which some ticketing systems name .xls: open it in a spreadsheet, then File > Save As > \"Excel Workbook (.xlsx)\".")
	unknownEncoding = problem(ProblemEncoding,
		"L'encodage du fichier n'est pas reconnu : ouvrez-le dans un tableur et enregistrez-le en « CSV UTF-8 », ou nommez l'encodage avec --encoding, comme windows-1252.",
		"The file's encoding is not recognised: open it in a spreadsheet and save it as \"CSV UTF-8\", or name the encoding with --encoding, such as windows-1252.")
	emptyFile = problem(ProblemEmpty,
		"Le fichier est vide : exportez-le de nouveau.",
		"The file is empty: export it again.")
)

func notText(fr, en string) *Problem {
	return problem(ProblemNotText,
		"C'est %[1]s, pas un tableau : exportez les données en classeur Excel (.xlsx) ou en « CSV UTF-8 ».",
		"This is %[2]s, not a table: export the data as an Excel workbook (.xlsx) or as \"CSV UTF-8\".", fr, en)
}

// encoding decides how the surveyed file is written, or why it is not text.
func (s *byteSurvey) encoding() (Encoding, error) {
	head := s.head
	if len(bytes.TrimSpace(bytes.TrimPrefix(head, byteOrderMark))) == 0 && s.total == int64(len(head)) {
		return "", emptyFile
	}
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(head, byteOrderMark), " \t\r\n")
	for _, m := range magic {
		if bytes.HasPrefix(head, m.start) || bytes.HasPrefix(trimmed, m.start) {
			return "", m.found
		}
	}
	if e := utf16(head); e != "" {
		if s.total <= 2 {
			return "", emptyFile
		}
		return e, nil
	}
	switch {
	case s.binary():
		return "", notText("un fichier binaire", "a binary file")
	case bytes.HasPrefix(head, byteOrderMark), s.utf8():
		return UTF8, nil
	}
	return s.oneByte()
}

// utf16 recognises UTF-16 by its mark, or by the zero bytes that every other
// byte of Latin text is.
func utf16(head []byte) Encoding {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return UTF16LE
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return UTF16BE
	}
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch pairs := len(head) / 2; {
	case pairs < 2:
		return ""
	case zeros[1] > pairs*7/10 && zeros[0] < pairs/10:
		return UTF16LE
	case zeros[0] > pairs*7/10 && zeros[1] < pairs/10:
		return UTF16BE
	}
	return ""
}

// binary reports a file with more control characters than a damaged export has.
func (s *byteSurvey) binary() bool {
	controls := 0
	for _, c := range s.head {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != 0x1a {
			controls++
		}
	}
	return controls > 2+len(s.head)/20
}

// utf8 reports whether the file is UTF-8, or nearly: Latin text in another
// encoding almost never has a valid sequence, so ten for each broken one mean
// that some rows were pasted from elsewhere.
func (s *byteSurvey) utf8() bool { return s.invalid == 0 || s.sequences >= 10*s.invalid }
