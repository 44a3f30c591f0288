// Package draft reads what people write, in YAML, and makes of it what the
// protocol speaks of: definitions, and audiences, which it draws up as manifests
// (protocol.md section 4).
//
// It is pure: what it needs to know of the federation comes with the call. It
// signs nothing, counts nobody and decides nothing.
package draft

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"coulisse/protocol"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v4"
)

// ErrDraft: what was written cannot be read, or does not hang together. The
// words say what to change.
var ErrDraft = errors.New("the file cannot be used as it is")

// MaxFile bounds a file that people write, in bytes.
const MaxFile = 256 << 10

func refuse(fr, en string, values ...any) error { return protocol.Refuse(ErrDraft, fr, en, values...) }

// Decode reads a document in YAML, or in JSON, which is YAML. The names are
// those of the protocol's JSON; one that does not exist is an error, since a
// misspelt name would silently change nothing.
func Decode[T any](text []byte) (T, error) {
	var v T
	if len(text) > MaxFile {
		return v, refuse("le fichier dépasse %d Kio", "the file is longer than %d KiB", MaxFile>>10)
	}
	var tree any
	if err := yaml.Load(text, &tree, yaml.WithUniqueKeys()); err != nil {
		return v, refuse("le fichier n'est pas du YAML\u00a0: %v", "the file is not YAML: %v", firstLine(err))
	}
	tree, err := plain(tree, 0)
	if err != nil {
		return v, err
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return v, refuse("le fichier n'est pas du texte en UTF-8", "the file is not text in UTF-8")
	}
	if err := json.Unmarshal(raw, &v, json.RejectUnknownMembers(true)); err != nil {
		var zero T
		fault := fieldOf(err)
		return zero, refuse("le champ %s n'existe pas, ou n'a pas la valeur qu'il faut",
			"the field %s does not exist, or has not the value that it needs", fault)
	}
	return v, nil
}

// fieldOf names the part of a document that an error of the decoder is about.
func fieldOf(err error) string {
	var fault *json.SemanticError
	if errors.As(err, &fault) && fault.JSONPointer != "" {
		return strings.ReplaceAll(strings.TrimPrefix(string(fault.JSONPointer), "/"), "/", ".")
	}
	return "?"
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

const maxDepth = 32

// plain turns what YAML reads more into than JSON can say back into that: a
// day is a string again, and every key is one.
func plain(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, refuse("le fichier imbrique plus de %d niveaux", "the file nests more than %d levels", maxDepth)
	}
	switch v := v.(type) {
	case time.Time:
		if day := v.Format(time.DateOnly); v.Equal(v.Truncate(24 * time.Hour)) {
			return day, nil
		}
		return v.Format(time.RFC3339), nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = plain(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			var err error
			if v[key], err = plain(v[key], depth+1); err != nil {
				return nil, err
			}
		}
	case map[any]any:
		return nil, refuse("un nom de champ n'est pas du texte", "the name of a field is not text")
	}
	return v, nil
}

// Span is a length of time as people write it: 90m, 1h30m, 7d.
type Span time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Span) UnmarshalText(text []byte) error {
	parsed, err := ParseSpan(string(text))
	*s = Span(parsed)
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// ParseSpan reads a length of time: Go's form, or whole days.
func ParseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 3660 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	span, err := time.ParseDuration(text)
	if err != nil || span <= 0 {
		return 0, refuse("une durée s'écrit 90m, 24h ou 7d", "a length of time is written 90m, 24h or 7d")
	}
	return span, nil
}

// jsonOf tells what kind of value a raw part is, from its first byte.
func jsonOf(raw []byte) byte {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// Definition reads a definition, with its name if it has none.
func Definition(text []byte, name string) (protocol.Definition, error) {
	d, err := Decode[protocol.Definition](text)
	if err != nil {
		return d, err
	}
	if d.Name == "" {
		d.Name = name
	}
	if err := d.Check(); err != nil {
		return d, fmt.Errorf("%w: %w", ErrDraft, err)
	}
	return d, nil
}
