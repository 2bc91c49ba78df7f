package soap

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"shoal"
	"shoal/soap/enrichment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGeneratedCodeIsUpToDate generates it again by what the go:generate line says.
func TestGeneratedCodeIsUpToDate(t *testing.T) {
	source, err := os.ReadFile("soap.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(source), "\n//go:generate ")
	if !found {
		t.Fatal("soap.go does not say how to generate")
	}
	line, _, _ = strings.Cut(line, "\n")
	words := strings.Fields(line)
	contract := len(words) - 1
	dir := t.TempDir()
	words = append(words[:contract:contract], "-d", dir, words[contract])
	if out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
	generated, err := os.ReadFile(filepath.Join(dir, "enrichment", "enrichment.go"))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("enrichment/enrichment.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(generated) != string(committed) {
		t.Error("soap/enrichment is not what its contract gives; run: go generate ./soap")
	}
}

// simpleType is one of the contract's.
type simpleType struct {
	Name         string `xml:"name,attr"`
	Enumerations []struct {
		Value string `xml:"value,attr"`
	} `xml:"restriction>enumeration"`
	MaxLength struct {
		Value string `xml:"value,attr"`
	} `xml:"restriction>maxLength"`
	MaxInclusive struct {
		Value string `xml:"value,attr"`
	} `xml:"restriction>maxInclusive"`
	Pattern struct {
		Value string `xml:"value,attr"`
	} `xml:"restriction>pattern"`
}

func contractTypes(t *testing.T) map[string]simpleType {
	t.Helper()
	var definitions struct {
		Types []simpleType `xml:"types>schema>simpleType"`
	}
	if err := xml.Unmarshal([]byte(WSDL), &definitions); err != nil {
		t.Fatal(err)
	}
	types := make(map[string]simpleType)
	for _, s := range definitions.Types {
		types[s.Name] = s
	}
	return types
}

// What the checks of replies know is what the contract says, value by value.
func TestChecksAreThoseOfTheContract(t *testing.T) {
	types := contractTypes(t)
	for name, known := range map[string]func(string) bool{
		"Category": func(s string) bool { return knownCategory(enrichment.Category(s)) },
		"Encoding": func(s string) bool { return knownEncoding(enrichment.Encoding(s)) },
		"Archive":  func(s string) bool { return knownArchive(enrichment.Archive(s)) },
	} {
		if len(types[name].Enumerations) < 8 {
			t.Errorf("%s: %v", name, types[name].Enumerations)
		}
		for _, e := range types[name].Enumerations {
			if !known(e.Value) {
				t.Errorf("the %s %q is refused", name, e.Value)
			}
		}
		if known("") || known("other") {
			t.Errorf("%s: anything is taken", name)
		}
	}
	for _, c := range []struct {
		what, in string
		here     any
	}{
		{"a Zone's length", types["Zone"].MaxLength.Value, MaxZone},
		{"a Head's length", types["Head"].MaxLength.Value, shoal.MaxHead},
		{"a FileName's length", types["FileName"].MaxLength.Value, shoal.MaxName},
		{"a MediaType's length", types["MediaType"].MaxLength.Value, shoal.MaxFact},
		{"a Platform's length", types["Platform"].MaxLength.Value, maxPlatform},
		{"a Count", types["Count"].MaxInclusive.Value, MaxCount},
		{"a FileSize", types["FileSize"].MaxInclusive.Value, int64(shoal.MaxSize)},
		{"a MediaType", strings.ReplaceAll("^"+types["MediaType"].Pattern.Value+"$", `\-`, "-"), mediaTypes},
		{"a Platform", "^" + types["Platform"].Pattern.Value + "$", platforms},
	} {
		if here := toText(c.here); here != c.in {
			t.Errorf("%s is at most %s in the contract, and %s here", c.what, c.in, here)
		}
	}
	if strings.Count(WSDL, Address) != 1 || strings.Count(WSDL, `"`+Address+`"`) != 1 {
		t.Error("the address stands in the contract somewhere else than where it belongs")
	}
}
