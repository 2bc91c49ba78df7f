package session

import (
	"fmt"
	"strings"
	"testing"

	"shoal/wire"
)

// Every kind has a row: a new one without would be answered by nobody knows which rule.
func TestAccessIsComplete(t *testing.T) {
	kinds := 0
	for k := wire.Kind(0); k < 1<<12; k++ {
		row, there := access[k]
		if known := k.String() != fmt.Sprintf("kind %d", uint16(k)); known != there {
			t.Errorf("%v: a kind %v, and a row %v", k, known, there)
		} else if known {
			kinds++
		}
		if (row.who == nobody) != (row.answer == nil) {
			t.Errorf("%v: who may is %v, and an answer there is: %v", k, row.who, row.answer != nil)
		}
		if row.inside && !row.slow {
			t.Errorf("%v is carried out while answers wait", k)
		}
	}
	if kinds != len(access) {
		t.Errorf("%d kinds and %d rows", kinds, len(access))
	}
}

// What no client may send ends the connection.
func TestNobodyMay(t *testing.T) {
	for k, row := range access {
		if row.who == nobody {
			if err := wire.Unserved(wire.Header{Kind: k}, "a server"); !strings.Contains(err.Error(), "rule") {
				t.Errorf("%v: %v", k, err)
			}
		}
	}
}
