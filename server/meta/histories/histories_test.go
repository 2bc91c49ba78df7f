package histories

import (
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"shoal"
	"shoal/wire"
)

var ann, bob = shoal.DeviceID{1}, shoal.DeviceID{2}

// story is a history in which one thing happens after the other, with the answers that must come. It is written from the
// rules of PROTOCOL.md that it names.
var story = []struct {
	by   shoal.DeviceID
	what any
	code shoal.Code
	seen string
}{
	{ann, &wire.Whoami{}, shoal.Denied, ""},
	{ann, &wire.Register{User: "ann"}, 0, ""},
	{bob, &wire.Register{User: "ann"}, shoal.Exists, ""}, // A5
	{bob, &wire.Login{User: "bob"}, shoal.Denied, ""},    // A4
	{bob, &wire.Register{User: "bob"}, 0, ""},
	{bob, &wire.Login{User: "ann"}, shoal.Exists, ""}, // A6
	{ann, &wire.GroupChange{Verb: wire.CreateGroup, Group: "lab"}, 0, ""},
	{bob, &wire.Members{Group: "lab", Which: wire.MembersIn}, shoal.NotFound, ""},
	{bob, &wire.GroupChange{Verb: wire.JoinGroup, Group: "lab"}, 0, ""},
	{bob, &wire.Groups{}, 0, "lab of ann, requested, 0 members, epoch 0; "}, // G5
	{ann, &wire.GroupChange{Verb: wire.AcceptUser, Group: "lab", User: "bob"}, 0, ""},
	{ann, &wire.GroupChange{Verb: wire.AcceptUser, Group: "lab", User: "bob"}, shoal.NotFound, ""}, // G3
	{bob, &wire.Members{Group: "lab", Which: wire.MembersIn}, 0, "ann,bob,"},
	{bob, &wire.Members{Group: "lab", Which: wire.MembersAsking}, shoal.Denied, ""},
	{ann, &wire.Account{Verb: wire.DeleteUser, User: "ann"}, shoal.Denied, ""}, // A9
	{ann, &wire.GroupChange{Verb: wire.TransferGroup, Group: "lab", User: "bob"}, 0, ""},
	{bob, &wire.GroupChange{Verb: wire.RemoveUser, Group: "lab", User: "bob"}, shoal.Denied, ""}, // G3
	{ann, &wire.Account{Verb: wire.RevokeDevice, Device: bob}, shoal.NotFound, ""},
	{ann, &wire.Logout{}, 0, ""},
	{bob, &wire.Groups{}, 0, "lab of bob, owner, 2 members, epoch 3; "}, // G4 and A7
	{ann, &wire.Login{User: "ann"}, 0, ""},
	{ann, &wire.Account{Verb: wire.DeleteUser, User: "ann"}, 0, ""},
	{ann, &wire.Register{User: "ann"}, shoal.Exists, ""}, // A9
	{bob, &wire.GroupChange{Verb: wire.DeleteGroup, Group: "lab"}, 0, ""},
	{bob, &wire.GroupChange{Verb: wire.CreateGroup, Group: "lab"}, 0, ""},
	{bob, Look{"lab"}, 0, "{Owner:bob Epoch:6 Members:bob, Requests:}"}, // G4
}

func tell() (all []porcupine.Operation) {
	for i, s := range story {
		at := time.Duration(i)
		all = append(all, Did(0, Asked{By: s.by, What: s.what}, 2*at, Answered{s.code, s.seen}, 2*at+1))
	}
	return all
}

func TestStory(t *testing.T) {
	model := From(State{}, nil)
	if err := Check(model, tell()); err != nil {
		t.Error(err)
	}
	// With any of the answers changed it is not possible.
	for i, s := range story {
		wrong := tell()
		wrong[i].Output = Answered{shoal.Internal, s.seen}
		err := Check(model, wrong)
		if err == nil || !strings.Contains(err.Error(), "not possible") {
			t.Errorf("with another answer to request %d: %v", i, err)
		}
	}
	// What overlaps may have happened in either order; what does not, may not.
	create, join := story[6], story[8]
	overlapping := func() []porcupine.Operation {
		return []porcupine.Operation{
			Did(0, Asked{By: ann, What: create.what}, 3, Answered{}, 5),
			Did(1, Asked{By: bob, What: join.what}, 1, Answered{}, 4),
		}
	}
	people := From(State{}.Enrol("ann", ann).Enrol("bob", bob), nil)
	if err := Check(people, overlapping()); err != nil {
		t.Error(err)
	}
	early := overlapping()
	early[1].Return = 2
	if err := Check(people, early); err == nil {
		t.Error("a group was joined before it was made")
	}
}
