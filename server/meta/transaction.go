package meta

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// entry is what was at a key.
type entry struct {
	value    []byte
	revision int64 // at which it was written; 0 where there is nothing
}

// transaction is one attempt to carry out a mutation: what it read, which must still be so when it is committed, and what
// it writes then. For one goroutine.
type transaction struct {
	s        *Store
	ctx      context.Context
	id       ID
	now      time.Time
	outcome  Outcome
	admitted bool // the mutation makes the asker known

	known  map[key]entry  // learned since the mutation was asked for; preferred to what the store remembers
	guards map[key]entry  // read in this attempt
	ranges []clientv3.Cmp // the ranges that were read
	writes map[key]int    // where in ops a key is written
	ops    []clientv3.Op  // what is written
	puts   map[key][]byte // the values of those that are puts
	sweeps bool           // ranges are deleted
	failed error          // the first failure to read
}

func (s *Store) begin(ctx context.Context, id ID, known map[key]entry) *transaction {
	return &transaction{
		s: s, ctx: ctx, id: id, now: s.now().UTC().Truncate(time.Millisecond), known: known,
		guards: make(map[key]entry, 8), writes: make(map[key]int, 4), puts: make(map[key][]byte, 4),
	}
}

// fail notes that the state could not be read: whatever is decided does not count.
func (t *transaction) fail(err error) {
	if t.failed == nil {
		t.failed = err
	}
}

// read returns what is at k, and makes it a condition of the commit.
func (t *transaction) read(k key) entry {
	if e, read := t.guards[k]; read {
		return e
	}
	e, known := t.known[k]
	if !known {
		e, known = t.s.cache.get(k)
	}
	if !known && t.failed == nil {
		var err error
		if e, err = t.s.fetch(t.ctx, k, clientv3.WithSerializable()); err != nil {
			t.fail(err)
		}
	}
	t.guards[k] = e
	return e
}

// expectAbsent lets the attempt go on without reading k, as if nothing were there, unless it is known by now.
func (t *transaction) expectAbsent(k key) {
	if _, known := t.known[k]; !known {
		t.known[k] = entry{}
	}
}

func (t *transaction) get(k key) (value []byte, there bool) {
	e := t.read(k)
	return e.value, e.revision != 0
}

func (t *transaction) has(k key) bool {
	_, there := t.get(k)
	return there
}

// load reads the rest of r from its key, and reports whether it is there.
func (t *transaction) load(r Record) bool {
	k := r.key()
	value, there := t.get(k)
	if !there {
		return false
	}
	d, err := newDecoder(k, value)
	if err != nil {
		t.fail(err)
		return false
	}
	r.decode(d)
	if err := d.finish(k); err != nil {
		t.fail(err)
		return false
	}
	return true
}

// list returns the keys that begin with prefix. The commit fails if there is a new one by then.
func (t *transaction) list(prefix key) (found []key) {
	found, at := t.scan(prefix, prefix.end(), 0)
	end := t.s.full(prefix.end())
	t.ranges = append(t.ranges, clientv3.Compare(clientv3.ModRevision(t.s.full(prefix)).WithRange(end), "<", at+1))
	return found
}

// peek returns the first keys from one to before another. They are not a condition of the commit.
func (t *transaction) peek(from, end key, limit int64) []key {
	found, _ := t.scan(from, end, limit)
	return found
}

func (t *transaction) scan(from, end key, limit int64) (found []key, revision int64) {
	if t.failed != nil {
		return nil, 0
	}
	r, err := t.s.client.Get(t.ctx, t.s.full(from), clientv3.WithRange(t.s.full(end)), clientv3.WithKeysOnly(),
		clientv3.WithSerializable(), clientv3.WithLimit(limit))
	if err != nil {
		t.fail(unreadable(err))
		return nil, 0
	}
	for _, kv := range r.Kvs {
		found = append(found, t.s.short(kv.Key))
	}
	return found, r.Header.Revision
}

// count returns how many keys there are from one to before another. That is not a condition of the commit.
func (t *transaction) count(from, end key) int64 {
	if t.failed != nil {
		return 0
	}
	r, err := t.s.client.Get(t.ctx, t.s.full(from), clientv3.WithRange(t.s.full(end)), clientv3.WithCountOnly(),
		clientv3.WithSerializable())
	if err != nil {
		t.fail(unreadable(err))
		return 0
	}
	return r.Count
}

// put writes a record, putValue a value, delete what is at a key, deleteAll all that begins with prefix; at the commit.
func (t *transaction) put(r Record) { t.putValue(r.key(), encode(r)) }

func (t *transaction) putValue(k key, value []byte) {
	t.write(k, clientv3.OpPut(t.s.full(k), string(value)))
	t.puts[k] = value
}

func (t *transaction) delete(k key) {
	t.write(k, clientv3.OpDelete(t.s.full(k)))
	delete(t.puts, k)
}

func (t *transaction) deleteAll(prefix key) { t.deleteRange(prefix, prefix.end()) }

func (t *transaction) deleteRange(from, end key) {
	t.sweeps = true
	t.ops = append(t.ops, clientv3.OpDelete(t.s.full(from), clientv3.WithRange(t.s.full(end))))
}

func (t *transaction) write(k key, op clientv3.Op) {
	if at, again := t.writes[k]; again {
		t.ops[at] = op
		return
	}
	t.writes[k] = len(t.ops)
	t.ops = append(t.ops, op)
}

// drop forgets what was to be written: a refusal changes nothing.
func (t *transaction) drop() {
	t.ops, t.sweeps = nil, false
	clear(t.writes)
	clear(t.puts)
}

// groupable reports whether t can be committed together with others: it is about single keys, and few of them.
func (t *transaction) groupable() bool {
	return len(t.ops) > 0 && len(t.ops) <= batchLimit/8 && len(t.guards) <= batchLimit/8 && len(t.ranges) == 0 && !t.sweeps
}

// bytes is how many bytes are written as values.
func (t *transaction) bytes() (n int) {
	for _, value := range t.puts {
		n += len(value)
	}
	return n
}

// NotLoggedIn is what a device hears that acts for no user.
var NotLoggedIn = shoal.Errorf(shoal.Denied, "this device is not logged in; log in first (shoal login NAME), or make a user (shoal user create NAME)")

// actor returns the user that the asking device acts for. The error has code Denied where it acts for none.
func (t *transaction) actor() (Username, error) {
	d := &Device{ID: t.id.Device}
	if !t.load(d) {
		return "", NotLoggedIn
	}
	return d.User, nil
}
