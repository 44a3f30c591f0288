package tag_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"coulisse/node/collect/tag"
)

// section finds where the parts of Tag Manager's format begin.
var section = regexp.MustCompile(`(?m)^___([A-Z_]+)___$`)

func sections(t *testing.T) map[string]string {
	t.Helper()
	text := string(tag.Template())
	found := map[string]string{}
	var order []string
	heads := section.FindAllStringSubmatchIndex(text, -1)
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		name := text[h[2]:h[3]]
		order = append(order, name)
		found[name] = strings.TrimSpace(text[h[1]:end])
	}
	if want := []string{"TERMS_OF_SERVICE", "INFO", "TEMPLATE_PARAMETERS", "SANDBOXED_JS_FOR_WEB_TEMPLATE", "WEB_PERMISSIONS", "TESTS", "NOTES"}; !slices.Equal(order, want) {
		t.Fatalf("sections %v, want %v", order, want)
	}
	return found
}

func read[T any](t *testing.T, text string) (v T) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %.80s", err, text)
	}
	return v
}

// Guards that Tag Manager takes the file: what it must know of a template is there,
// and every field that the code reads is a field that a person can fill, in French and
// in English, and the other way round.
func TestTemplate(t *testing.T) {
	parts := sections(t)
	info := read[map[string]any](t, parts["INFO"])
	for name, want := range map[string]any{
		"type": "TAG", "id": "cvt_temp_public_id", "displayName": "Coulisse", "version": 1.0,
		"containerContexts": []any{"WEB"}, "securityGroups": []any{},
	} {
		if !reflect.DeepEqual(info[name], want) {
			t.Errorf("INFO: %s is %v, want %v", name, info[name], want)
		}
	}
	var fields []string
	for _, p := range read[[]map[string]any](t, parts["TEMPLATE_PARAMETERS"]) {
		name := p["name"].(string)
		fields = append(fields, name)
		if !slices.Contains([]any{"TEXT", "RADIO", "SELECT"}, p["type"]) || p["simpleValueType"] != true {
			t.Errorf("field %s: %v", name, p)
		}
		if strings.Count(fmt.Sprint(p["displayName"]), " · ") != 1 {
			t.Errorf("field %s is not named in both languages: %v", name, p["displayName"])
		}
	}
	var used []string
	for _, m := range regexp.MustCompile(`data\.(\w+)`).FindAllStringSubmatch(parts["SANDBOXED_JS_FOR_WEB_TEMPLATE"], -1) {
		if !strings.HasPrefix(m[1], "gtmOn") {
			used = append(used, m[1])
		}
	}
	slices.Sort(used)
	slices.Sort(fields)
	if used = slices.Compact(used); !slices.Equal(used, fields) {
		t.Errorf("the code reads %v of the fields %v", used, fields)
	}
}

// permission is one of WEB_PERMISSIONS, in Tag Manager's typed values.
type permission struct {
	Instance struct {
		Key struct {
			PublicID  string `json:"publicId"`
			VersionID string `json:"versionId"`
		} `json:"key"`
		Param []struct {
			Key   string `json:"key"`
			Value value  `json:"value"`
		} `json:"param"`
	} `json:"instance"`
	ClientAnnotations struct {
		IsEditedByUser bool `json:"isEditedByUser"`
	} `json:"clientAnnotations"`
	IsRequired bool `json:"isRequired"`
}

type value struct {
	Type     int     `json:"type"` // 1 text, 2 list, 3 map, 8 truth
	String   string  `json:"string"`
	Boolean  bool    `json:"boolean"`
	ListItem []value `json:"listItem"`
	MapKey   []value `json:"mapKey"`
	MapValue []value `json:"mapValue"`
}

// plain gives a value as Go has it.
func (v value) plain() any {
	switch v.Type {
	case 2:
		var all []any
		for _, item := range v.ListItem {
			all = append(all, item.plain())
		}
		return all
	case 3:
		all := map[string]any{}
		for i, k := range v.MapKey {
			all[k.String] = v.MapValue[i].plain()
		}
		return all
	case 8:
		return v.Boolean
	}
	return v.String
}

// needs says which permission an API asks for, by Google's documentation. What the
// template does not use is not here.
var needs = map[string]string{
	"createArgumentsQueue": "access_globals",
	"injectScript":         "inject_script",
	"isConsentGranted":     "access_consent",
	"addConsentListener":   "access_consent",
	"encodeUriComponent":   "",
}

// Guards that the template may do what it does and nothing else.
func TestPermissions(t *testing.T) {
	parts := sections(t)
	code := parts["SANDBOXED_JS_FOR_WEB_TEMPLATE"]
	asked := map[string]any{}
	for _, p := range read[[]permission](t, parts["WEB_PERMISSIONS"]) {
		if len(p.Instance.Param) != 1 || !p.IsRequired || p.Instance.Key.VersionID != "1" {
			t.Errorf("permission %+v", p)
		}
		asked[p.Instance.Key.PublicID] = p.Instance.Param[0].Value.plain()
	}
	needed := map[string]bool{}
	for _, m := range regexp.MustCompile(`require\('(\w+)'\)`).FindAllStringSubmatch(code, -1) {
		name, known := needs[m[1]]
		if !known {
			t.Errorf("%s: say here which permission it needs", m[1])
		}
		if name != "" {
			needed[name] = true
			if asked[name] == nil {
				t.Errorf("%s needs %s, which is not asked for", m[1], name)
			}
		}
		if strings.Count(code, m[1]) < 3 {
			t.Errorf("%s is required and not used", m[1])
		}
	}
	for name := range asked {
		if !needed[name] {
			t.Errorf("%s is asked for and not needed", name)
		}
	}
	global := func(name string) any {
		return map[string]any{"key": name, "read": true, "write": true, "execute": false}
	}
	consent := func(name string) any {
		return map[string]any{"consentType": name, "read": true, "write": false}
	}
	for name, want := range map[string]any{
		"access_globals": []any{global("coulisse"), global("coulisseQueue")},
		"access_consent": []any{consent("analytics_storage"), consent("ad_storage"), consent("ad_user_data"), consent("ad_personalization")},
		"inject_script":  []any{"https://*/c.js", "https://*/c.js?*"},
	} {
		if !reflect.DeepEqual(asked[name], want) {
			t.Errorf("%s: %v, want %v", name, asked[name], want)
		}
	}
}

// inside gives a page Tag Manager's sandbox with the template in it.
func inside(t *testing.T, b *tab) {
	t.Helper()
	helper, err := os.ReadFile("testdata/sandbox.js")
	if err != nil {
		t.Fatal(err)
	}
	code, err := json.Marshal(sections(t)["SANDBOXED_JS_FOR_WEB_TEMPLATE"])
	if err != nil {
		t.Fatal(err)
	}
	b.run(fmt.Sprintf("%s; window.template = () => sandbox(%s); 0", helper, code))
}

// Guards the template's own tests, which Tag Manager's editor runs: they pass.
func TestScenarios(t *testing.T) {
	var tests struct {
		Scenarios []struct{ Name, Code string }
		Setup     string
	}
	if err := yaml.Load([]byte(sections(t)["TESTS"]), &tests, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	b := newTab(t, newIntake(t))
	b.open("about:blank")
	inside(t, b)
	for _, s := range tests.Scenarios {
		code, err := json.Marshal(tests.Setup + "\n" + s.Code)
		if err != nil {
			t.Fatal(err)
		}
		if said := ask[string](b, fmt.Sprintf(`(() => { const {runCode, mock, assertApi, assertThat} = template();
			try { new Function("runCode", "mock", "assertApi", "assertThat", %s)(runCode, mock, assertApi, assertThat) } catch (e) { return e.message }
			return "" })()`, code)); said != "" {
			t.Errorf("%s: %s", s.Name, said)
		}
	}
}

// Guards the template and the tag together: a consent tool that lives in Tag Manager,
// an answer, a purchase, a withdrawal.
func TestThroughTagManager(t *testing.T) {
	in, _, b := visit(t, "script-src 'self' 'unsafe-eval' NODE; connect-src NODE", "")
	inside(t, b)
	b.run(fmt.Sprintf(`
		window.rewrite = (url) => url.replace("https://node.example", %q); // the test's node has no certificate
		window.tagManagerConsent = {analytics_storage: "denied", ad_storage: "denied", ad_user_data: "denied", ad_personalization: "denied"};
		window.answer = (how) => {
			for (const type in tagManagerConsent) tagManagerConsent[type] = how;
			for (const l of tagManagerListeners) l.listener(l.type, how == "granted");
		};
		template().runCode({node: "https://node.example/", consent: "tagManager", beforeConsent: "nothing", minor: "no", layer: "dataLayer"});`, in.URL))
	b.ready()
	b.want()
	b.run(`answer("granted")`)
	b.click("buy")
	want := []string{"somebody page_view /", "somebody consent /", "somebody purchase / T-1001 CAD 84.5 S-12×2"}
	b.want(want...)
	b.run(`answer("denied")`)
	b.click("buy")
	b.want(append(want, "somebody consent /")...)
	if got := b.storage(); got != empty {
		t.Errorf("stored after withdrawal: %s", got)
	}
	if c := in.find("consent", 0).batch.Consent; c.Proof != "gcm" || c.Advertising != "granted" {
		t.Errorf("consent: %+v", c)
	}
}
