package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"coulisse/protocol"

	"github.com/spf13/cobra"
)

func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{nil, nil, English},
		{nil, map[string]string{"LANG": "fr_CA.UTF-8"}, French},
		{nil, map[string]string{"LANG": "FR"}, French},
		{nil, map[string]string{"LC_ALL": "C.UTF-8", "LANG": "fr_CA"}, English},
		{nil, map[string]string{"LC_MESSAGES": "fr_FR", "LANG": "en_CA"}, French},
		{[]string{"node", "--lang", "fr"}, nil, French},
		{[]string{"--lang=en", "node"}, map[string]string{"LANG": "fr_CA"}, English},
		{[]string{"--lang", "de"}, map[string]string{"LANG": "fr_CA"}, French},
		{[]string{"import", "--", "--lang", "fr"}, nil, English},
		{[]string{"--lang"}, nil, English},
	} {
		if got := Language(c.args, func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v with %v: %s", c.args, c.env, got)
		}
	}
}

type coded int

func (c coded) Error() string        { return "coded" }
func (c coded) ExitCode() int        { return int(c) }
func (c coded) Words() protocol.Text { return protocol.Text{FR: "codé", EN: "coded"} }

func TestExecute(t *testing.T) {
	fails := errors.New("the disk is gone")
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"work ok", 0, ""},
		{"", 0, ""},
		{"work", 0, ""}, // a group shows its help
		{"work fail", 1, "coulisse: the disk is gone"},
		{"work refuse --lang fr", 1, "coulisse: Non."},
		{"work refuse", 1, "coulisse: No."},
		{"work code", 2, "coulisse: coded"},
		{"work misuse", 2, "coulisse: wrong"},
		{"work ok more", 2, "takes no argument"},
		{"work ok --unknown", 2, "unknown flag"},
		{"work nothing", 2, "unknown command"},
		{"nothing", 2, "unknown command"},
		{"work ok --lang de", 2, "The language is fr or en."},
	} {
		group := &cobra.Command{Use: "work"}
		for name, err := range map[string]error{
			"ok": nil, "fail": fails, "code": coded(2), "misuse": Misused("faux", "wrong"),
			"refuse": protocol.Refuse(fails, "non", "no"),
		} {
			group.AddCommand(&cobra.Command{Use: name, Args: Arguments(), RunE: func(*cobra.Command, []string) error { return err }})
		}
		args := strings.Fields(c.args)
		lang := Language(args, func(string) string { return "" })
		root := Root(lang, "test", group)
		var out, said bytes.Buffer
		root.SetArgs(args)
		root.SetOut(&out)
		root.SetErr(&said)
		if status := Execute(t.Context(), root, lang); status != c.status || !strings.Contains(said.String(), c.says) {
			t.Errorf("%q ended with %d: %s", c.args, status, said.String())
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	err := Table(&b, []string{"NOM", "TITRE"}, [][]string{{"é", "un\x1b[2J\u202e\nx"}, {"deux mots", ""}})
	if want := "NOM        TITRE\né          un[2J x\ndeux mots\n"; err != nil || b.String() != want {
		t.Errorf("%q, %v", b.String(), err)
	}
}
