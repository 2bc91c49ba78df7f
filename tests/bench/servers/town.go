package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/tests/bench/report"
	"shoal/wire"
)

// town is a server's state of some size: users with a device each, spread over groups, and objects spread over these. It is
// the same for the same numbers, but for the devices of which the keys are had: those of the first users.
type town struct {
	users, groups, objects int
	keys                   []*identity.Key // of the first users' devices
	visited                []int           // groups that the first user is in as well
	password               string          // what is stored of it, for all users; "" for something random for each
	founded                time.Time
}

// newTown makes one in which the first users' keys are had. The first user is an admin.
func newTown(users, groups, objects, keys int) *town {
	t := &town{users: users, groups: groups, objects: objects, founded: time.Now().Add(-time.Hour)}
	for range keys {
		t.keys = append(t.keys, identity.NewKey())
	}
	return t
}

func (t *town) user(i int) meta.Username { return meta.Username(fmt.Sprintf("user-%06d", i)) }
func (t *town) group(i int) shoal.Group  { return shoal.Group(fmt.Sprintf("group-%05d", i)) }

// object returns the name and the content of an object; it is in the group i modulo the number of groups.
func (t *town) object(i int) (shoal.Name, shoal.Object) {
	return shoal.Name(fmt.Sprintf("dataset part %07d.tar.zst", i)), shoal.Object{ID: shoal.FileID(number("object", i)), Size: int64(i + 1)}
}

func (t *town) device(i int) shoal.DeviceID {
	if i < len(t.keys) {
		return t.keys[i].Device()
	}
	return shoal.DeviceID(number("device", i))
}

func (t *town) stored(i int) string {
	if t.password != "" {
		return t.password
	}
	salt, hash := number("salt", i), number("hash", i)
	text := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=19456,t=2,p=1$" + text(salt[:16]) + "$" + text(hash[:])
}

// number is a number that looks random, and is the same each time.
func number(what string, i int) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), uint64(i)))
}

// records yields all of it.
func (t *town) records() iter.Seq[meta.Record] {
	return func(yield func(meta.Record) bool) {
		for i := range t.users {
			for _, r := range t.household(i) {
				if !yield(r) {
					return
				}
			}
		}
		for _, g := range t.visited {
			if !yield(&meta.Member{Group: t.group(g), User: t.user(0), Since: t.founded}) {
				return
			}
		}
		for i := range t.objects {
			name, content := t.object(i)
			publisher := i % t.groups
			o := &meta.Object{
				Group: t.group(i % t.groups), Name: name, Content: content, Publisher: t.user(publisher), Device: t.device(publisher),
				Published: t.founded, Shared: true,
			}
			if !yield(o) {
				return
			}
		}
	}
}

// household is a user with a device, in a group; the first users each own one.
func (t *town) household(i int) []meta.Record {
	all := []meta.Record{
		&meta.User{Name: t.user(i), Password: t.stored(i), Created: t.founded, Admin: i == 0, Devices: []shoal.DeviceID{t.device(i)}},
		&meta.Device{ID: t.device(i), User: t.user(i), Enrolled: t.founded, Label: "laptop"},
		&meta.Member{Group: t.group(i % t.groups), User: t.user(i), Since: t.founded},
	}
	if i < t.groups {
		g := &meta.Group{Name: t.group(i), Owner: t.user(i), First: 1, Epoch: 1, Created: t.founded, Grace: 12 * time.Hour}
		all = slices.Insert(all, 2, meta.Record(g))
	}
	return all
}

// settle writes the state folder b.Dir/NAME of a server that has it.
func (t *town) settle(ctx context.Context, b *report.Bench, name string) error {
	dir := filepath.Join(b.Dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making a server's state: %w", err)
	}
	root, err := identity.LoadKey(filepath.Join(dir, "realm.key"))
	if err != nil {
		return err
	}
	all := func(yield func(meta.Record) bool) {
		if yield(&meta.Realm{Root: root.Public(), Settled: true}) {
			t.records()(yield)
		}
	}
	return meta.Import(ctx, filepath.Join(dir, "etcd"), all, zerolog.Nop())
}

// list returns the names of a group.
func (c *client) list(of shoal.Group) (all []wire.Entry, err error) {
	for after := ""; ; {
		var page wire.ListReply
		if err := c.ask(wire.KindList, &wire.List{Group: of, After: after, Limit: wire.MaxList}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
		if !page.More || len(page.Entries) == 0 {
			return all, nil
		}
		after = string(page.Entries[len(page.Entries)-1].Name)
	}
}
