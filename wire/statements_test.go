package wire_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire/vectors"
)

func TestStatements(t *testing.T) {
	var all vectors.Statements
	if err := vectors.Load(os.DirFS("testdata/vectors"), vectors.StatementsFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Statements) < 30 {
		t.Fatalf("%d vectors; there were more", len(all.Statements))
	}
	// The first vector is a good one; a refusal must not be for the wrong server.
	server := [32]byte(all.Statements[0].Server)
	for _, v := range all.Statements {
		t.Run(v.Name, func(t *testing.T) {
			ms, err := strconv.ParseInt(v.Now, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if err := accepts(v, server, time.UnixMilli(ms)); v.Rule == "" && err != nil {
				t.Error(err)
			} else if v.Rule != "" && shoal.CodeOf(err) != shoal.Untrusted {
				t.Errorf("rule %s is broken: %v", v.Rule, err)
			}
		})
	}
}

func accepts(v vectors.Statement, server [32]byte, now time.Time) error {
	switch v.Says {
	case 1:
		other := server
		other[0] ^= 1
		if identity.VerifyServer(v.Statement, shoal.RealmKey(v.Issuer), other, now) == nil {
			return fmt.Errorf("it is accepted for another server")
		}
		return identity.VerifyServer(v.Statement, shoal.RealmKey(v.Issuer), server, now)
	case 2:
		candidates, err := identity.VerifyCandidates(v.Statement, shoal.DeviceID(v.Issuer), now)
		if err != nil {
			return err
		}
		var got []string
		for _, c := range candidates {
			got = append(got, fmt.Sprintf("%v %d", c.Addr.Addr(), c.Addr.Port()))
		}
		if !slices.Equal(got, v.Candidates) {
			return fmt.Errorf("the candidates are %v, not %v", got, v.Candidates)
		}
		return nil
	}
	return fmt.Errorf("no statement says %d", v.Says)
}
