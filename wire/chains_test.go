package wire_test

import (
	"encoding/hex"
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

func TestChains(t *testing.T) {
	var all vectors.Statements
	if err := vectors.Load(os.DirFS("testdata/vectors"), vectors.StatementsFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Chains) < 60 {
		t.Fatalf("%d vectors; there were more", len(all.Chains))
	}
	for _, v := range all.Chains {
		t.Run(v.Name, func(t *testing.T) {
			ms, err := strconv.ParseInt(v.Now, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			now := time.UnixMilli(ms)
			authority := identity.NewAuthority(shoal.RealmKey(v.Realm))
			for _, revocation := range v.Revocations {
				if err := authority.Revoke(revocation, now); err != nil {
					t.Fatal(err)
				}
			}
			want := shoal.Untrusted
			if v.Rule == "C8" {
				want = shoal.Denied
			}
			if err := follows(authority, v, now); v.Rule == "" && err != nil {
				t.Error(err)
			} else if v.Rule != "" && shoal.CodeOf(err) != want {
				t.Errorf("rule %s is broken: %v", v.Rule, err)
			}
		})
	}
}

func follows(a *identity.Authority, v vectors.Chain, now time.Time) error {
	switch v.Ends {
	case 1:
		root, err := a.VerifyServer(v.Chain, [32]byte(v.Server), now)
		if err == nil && root != shoal.RealmKey(v.Root) {
			return fmt.Errorf("the realm's root key is %v afterwards", root)
		}
		return err
	case 4:
		return ticketFollows(a, v, now)
	case 2:
		return recordFollows(a, v, now)
	case 6:
		return a.Revoke(v.Chain, now)
	}
	return fmt.Errorf("no chain ends in %d", v.Ends)
}

func demandOf(v vectors.Chain, now time.Time) (identity.Demand, error) {
	epoch, err := strconv.ParseUint(v.Demand.Epoch, 10, 64)
	return identity.Demand{
		Device: shoal.DeviceID(v.Demand.Device), Group: shoal.Group(v.Demand.Group), Rights: identity.Rights(v.Demand.Rights),
		Epoch: epoch, Now: now, Reachable: v.Demand.Reachable,
	}, err
}

func recordFollows(a *identity.Authority, v vectors.Chain, now time.Time) error {
	demand, err := demandOf(v, now)
	if err != nil {
		return err
	}
	record, err := a.VerifyRecord(v.Chain, demand)
	if err != nil {
		return err
	}
	var got []string
	for _, c := range record.Candidates {
		got = append(got, fmt.Sprintf("%v %d", c.Addr.Addr(), c.Addr.Port()))
	}
	if !slices.Equal(got, v.Candidates) || record.Device != shoal.DeviceID(v.Demand.Device) {
		return fmt.Errorf("the record is of %v, at %v", record.Device, got)
	}
	return nil
}

func ticketFollows(a *identity.Authority, v vectors.Chain, now time.Time) error {
	demand, err := demandOf(v, now)
	if err != nil {
		return err
	}
	ticket, err := a.VerifyTicket(v.Chain, demand)
	if err != nil {
		return err
	}
	got := map[string]any{
		"group": string(ticket.Group), "device": hex.EncodeToString(ticket.Device[:]), "user": ticket.User,
		"rights": float64(ticket.Rights), "epoch": strconv.FormatUint(ticket.Epoch, 10), "grace": ticket.Grace.Seconds(),
	}
	if fmt.Sprint(got) != fmt.Sprint(v.Ticket) {
		return fmt.Errorf("the ticket says %v, not %v", got, v.Ticket)
	}
	return nil
}
