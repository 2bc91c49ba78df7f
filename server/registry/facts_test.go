package registry

import (
	"fmt"
	"testing"

	"shoal"
	"shoal/wire"
)

var picture = shoal.Facts{State: shoal.Known, MediaType: "image/png", Category: "image", Width: 3, Height: 2}

// factsOf is what LIST and LOOKUP say of a name, which must be the same.
func factsOf(t *testing.T, r *Registry, name shoal.Name) shoal.Facts {
	t.Helper()
	_, found, _, err := r.Lookup(shoal.DeviceID{}, &wire.Lookup{Group: shoal.Public, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	_, entries, _, err := r.List(shoal.DeviceID{}, shoal.Public, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name == name && *e.Facts != *found.Facts {
			t.Errorf("LIST has %+v and LOOKUP %+v", *e.Facts, *found.Facts)
		}
	}
	return *found.Facts
}

func TestFactsAreNotExpected(t *testing.T) {
	r := withUser()
	publish(r, "a", objectOf(1))
	if got := factsOf(t, r, "a"); got != (shoal.Facts{}) {
		t.Errorf("got %+v", got)
	}
}

func TestFacts(t *testing.T) {
	r := withUser()
	r.ExpectFacts()
	publish(r, "a", objectOf(1))
	guessed := shoal.Facts{State: shoal.Withheld, MediaType: "text/plain"}
	for i, step := range []struct {
		set           shoal.Facts
		content       shoal.Object
		after         shoal.Facts
		wants, wantsS bool // without and with a sample
	}{
		{shoal.Facts{State: shoal.Pending}, objectOf(1), shoal.Facts{State: shoal.Pending}, true, true},
		{picture, objectOf(2), shoal.Facts{State: shoal.Pending}, true, true}, // of another file
		{guessed, objectOf(1), guessed, false, true},
		{shoal.Facts{}, objectOf(1), guessed, false, true}, // giving up takes nothing away
		{picture, objectOf(1), picture, false, false},
		{guessed, objectOf(1), picture, false, false},
	} {
		r.SetFacts(shoal.Public, "a", step.content, step.set)
		if got := factsOf(t, r, "a"); got != step.after {
			t.Errorf("step %d: got %+v", i, got)
		}
		if got := r.WantsFacts(shoal.Public, "a", objectOf(1), false); got != step.wants {
			t.Errorf("step %d: wants facts: %v", i, got)
		}
		if got := r.WantsFacts(shoal.Public, "a", objectOf(1), true); got != step.wantsS {
			t.Errorf("step %d: wants facts with a sample: %v", i, got)
		}
	}
	for _, gone := range []struct {
		group shoal.Group
		name  shoal.Name
		o     shoal.Object
	}{{"lab", "a", objectOf(1)}, {shoal.Public, "b", objectOf(1)}, {shoal.Public, "a", objectOf(2)}} {
		r.SetFacts(gone.group, gone.name, gone.o, picture)
		if r.WantsFacts(gone.group, gone.name, gone.o, true) {
			t.Errorf("wants facts of %+v", gone)
		}
	}
	// The same name with other content begins anew.
	take(r, "a")
	r.SetFacts(shoal.Public, "a", objectOf(1), picture)
	publish(r, "a", objectOf(2))
	r.SetFacts(shoal.Public, "a", objectOf(1), picture)
	if got := factsOf(t, r, "a"); got != (shoal.Facts{State: shoal.Pending}) {
		t.Errorf("got %+v", got)
	}
	// Giving up ends the waiting.
	r.SetFacts(shoal.Public, "a", objectOf(2), shoal.Facts{})
	if got := factsOf(t, r, "a"); got != (shoal.Facts{}) {
		t.Errorf("got %+v", got)
	}
}

// Names whose facts are the same share them, and what is remembered for that is bounded.
func TestFactsAreShared(t *testing.T) {
	r := withUser()
	r.ExpectFacts()
	for i := range uint64(2) {
		publish(r, fmt.Sprint(i), objectOf(1))
		r.SetFacts(shoal.Public, shoal.Name(fmt.Sprint(i)), objectOf(1), picture)
	}
	if _, entries, _, _ := r.List(shoal.DeviceID{}, shoal.Public, "", 2); entries[0].Facts != entries[1].Facts {
		t.Error("the same facts are stored twice")
	}
	for i := range uint32(maxTold + 10) {
		other := picture
		other.Width = i + 1
		r.SetFacts(shoal.Public, "0", objectOf(1), other)
		if got := factsOf(t, r, "0"); got != other {
			t.Fatalf("got %+v", got)
		}
	}
	if n := len(r.told); n > maxTold {
		t.Errorf("%d facts are remembered", n)
	}
	if got := factsOf(t, r, "1"); got != picture {
		t.Errorf("another name has %+v now", got)
	}
}

func TestPendingFacts(t *testing.T) {
	r := withUser()
	r.ExpectFacts()
	const all = 1500
	for i := range all {
		publish(r, fmt.Sprintf("%04d", i), objectOf(i))
		if i%3 > 0 {
			r.SetFacts(shoal.Public, shoal.Name(fmt.Sprintf("%04d", i)), objectOf(i), picture)
		}
	}
	groups := r.GroupNames()
	if len(groups) != 1 || groups[0] != shoal.Public {
		t.Errorf("the groups are %q", groups)
	}
	var got []Unanswered
	for after := shoal.Name(""); ; {
		found, last := r.PendingFacts(shoal.Public, after, 100)
		if got = append(got, found...); last == "" {
			break
		}
		after = last
	}
	if len(got) != all/3 {
		t.Fatalf("%d are pending", len(got))
	}
	for i, u := range got {
		if u != (Unanswered{shoal.Public, shoal.Name(fmt.Sprintf("%04d", 3*i)), objectOf(3 * i)}) {
			t.Fatalf("pending: %+v", u)
		}
	}
	if found, last := r.PendingFacts("lab", "", 100); len(found) != 0 || last != "" {
		t.Errorf("in a group that there is not: %v %q", found, last)
	}
}
