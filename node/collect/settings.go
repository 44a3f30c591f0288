package collect

import (
	"bytes"
	"crypto/tls"
	_ "embed"
	"errors"
	"net"
	"net/netip"
	"strings"
	"text/template"

	"coulisse/node/warehouse"
	"coulisse/protocol"

	"go.yaml.in/yaml/v4"
)

// ErrSettings: collect.yaml cannot be used. The words say what to change.
var ErrSettings = errors.New("the intake's settings cannot be used")

func refuse(fr, en string, values ...any) error {
	return protocol.Refuse(ErrSettings, fr, en, values...)
}

// BeforeConsent is what is kept of a visitor who has not agreed to be measured.
type BeforeConsent string

// What may be kept before consent.
const (
	BeforeConsentNothing BeforeConsent = "nothing"
	// BeforeConsentCounts keeps that something happened on a page, and nothing
	// that ties it to anything else.
	BeforeConsentCounts BeforeConsent = "counts"
)

// Settings are the member's, as it writes them in collect.yaml.
type Settings struct {
	// Listen is host:port.
	Listen string `yaml:"listen"`
	// TLS, if it is set, is the certificate; without it a proxy has one.
	TLS *TLS `yaml:"tls"`
	// Address is how pages reach the intake from outside.
	Address string `yaml:"address"`
	// Sites are the hosts whose pages may send.
	Sites         []string      `yaml:"sites"`
	BeforeConsent BeforeConsent `yaml:"before_consent"`
	// TrustedProxies say who the request is from, in X-Forwarded-For.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// RetentionMonths is for how long events are kept.
	RetentionMonths int `yaml:"retention_months"`
	// Limit is how many requests a second a network may send.
	Limit int `yaml:"requests_per_second"`
	// SpoolMB bounds what waits on disk for the warehouse.
	SpoolMB int64 `yaml:"spool_mb"`

	proxies []netip.Prefix
}

// TLS names the files of a certificate.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// MaxSettings bounds the file, in bytes.
const MaxSettings = 64 << 10

// Defaults and bounds of the settings.
const (
	DefaultListen    = "127.0.0.1:8420"
	defaultRetention = warehouse.DefaultMonths
	maxRetention     = 120
	defaultLimit     = 50
	maxLimit         = 100_000
	defaultSpoolMB   = 1024
	minSpoolMB       = 64
	maxSites         = 100
)

// ParseSettings reads collect.yaml. A name that it does not know is a mistake:
// misspelt, it would silently change nothing.
func ParseSettings(text []byte) (Settings, error) {
	s := Settings{
		Listen: DefaultListen, BeforeConsent: BeforeConsentNothing,
		RetentionMonths: defaultRetention, Limit: defaultLimit, SpoolMB: defaultSpoolMB,
	}
	if len(text) > MaxSettings {
		return s, refuse("collect.yaml dépasse %d Kio", "collect.yaml is longer than %d KiB", MaxSettings>>10)
	}
	if err := yaml.Load(text, &s, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return s, refuse("collect.yaml ne se lit pas\u00a0: %s", "collect.yaml cannot be read: %s", line)
	}
	return s, s.check()
}

func (s *Settings) check() error {
	if _, port, err := net.SplitHostPort(s.Listen); err != nil || port == "" {
		return refuse("listen doit être hôte:port, comme %s", "listen must be host:port, such as %s", DefaultListen)
	}
	if len(s.Sites) == 0 || len(s.Sites) > maxSites {
		return refuse("sites doit nommer de 1 à %d hôtes, comme www.theatre.example", "sites must name 1 to %d hosts, such as www.theatre.example", maxSites)
	}
	for _, host := range s.Sites {
		if host == "" || len(host) > 253 || strings.ContainsAny(host, "/:*@ \t") {
			return refuse("chaque site est un nom d'hôte seul, sans https://, port ni *", "each site is a host's name alone, without https://, port or *")
		}
	}
	if s.BeforeConsent != BeforeConsentNothing && s.BeforeConsent != BeforeConsentCounts {
		return refuse("before_consent doit être nothing ou counts", "before_consent must be nothing or counts")
	}
	if s.RetentionMonths < 1 || s.RetentionMonths > maxRetention {
		return refuse("retention_months doit être de 1 à %d", "retention_months must be 1 to %d", maxRetention)
	}
	if s.Limit < 1 || s.Limit > maxLimit {
		return refuse("requests_per_second doit être de 1 à %d", "requests_per_second must be 1 to %d", maxLimit)
	}
	if s.SpoolMB < minSpoolMB {
		return refuse("spool_mb doit être au moins %d", "spool_mb must be at least %d", minSpoolMB)
	}
	return s.checkNetwork()
}

func (s *Settings) checkNetwork() error {
	for _, text := range s.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); err != nil && single == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return refuse("trusted_proxies nomme des adresses ou des réseaux, comme 10.0.0.0/8", "trusted_proxies names addresses or networks, such as 10.0.0.0/8")
		}
		s.proxies = append(s.proxies, p)
	}
	if s.TLS != nil {
		if _, err := tls.LoadX509KeyPair(s.TLS.Certificate, s.TLS.Key); err != nil {
			return refuse("le certificat de tls ne s'ouvre pas\u00a0: %v", "the certificate of tls does not open: %v", err)
		}
	}
	return nil
}

//go:embed collect.yaml.tmpl
var settingsTemplate string

var settingsText = template.Must(template.New("collect.yaml").Parse(settingsTemplate))

// NewSettings is a first collect.yaml, with what each line is for.
func NewSettings(sites []string) []byte {
	var b bytes.Buffer
	values := struct {
		Sites                     []string
		Listen                    string
		Retention, Limit, SpoolMB int
	}{sites, DefaultListen, defaultRetention, defaultLimit, defaultSpoolMB}
	if err := settingsText.Execute(&b, values); err != nil {
		panic(err) // the template is part of the program
	}
	return b.Bytes()
}
