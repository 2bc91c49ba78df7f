// Package meta keeps what a server must not lose: users, devices, groups and who is in them, what is published, and what
// was answered to those who changed any of it. All of it lies in etcd, embedded in the process or a cluster that exists.
//
//	Apply ──► one transaction, guarded by the revisions of all it read ──► etcd ──► Feed ──► a Sink in memory
//
// A mutation is acknowledged after it is on disk. Its outcome is stored with it, under the device and the sequence number
// that asked for it, so that asking again, here or at another server, is answered and not repeated. A Feed brings all
// changes, in the order in which they happened, to whoever keeps the state in memory to answer from.
//
// The keys, below a prefix of the store's own. No name holds a '/', and keys of devices have 32 bytes, so that one key
// stands for one thing and each kind, and each group's part of it, is one range:
//
//	v                       the version of all this, and the first revision
//	k                       the realm: its keys and its first user's code
//	c/KEY                   a key of the realm that does not count any more
//	u/USER                  a user
//	d/DEVICE                a device
//	g/GROUP                 a group
//	m/GROUP/USER            a member; its owner is one
//	r/GROUP/USER            a request to become one
//	o/GROUP/NAME            an object, with its publisher
//	s/GROUP/NAME/USER       a user whose copies of it are offered
//	h/GROUP/NAME            its manifest, where it has mirrors
//	i/HASH                  an invite
//	x/USER/GROUP            where to look for what a user has in groups; may say too much, never too little
//	t/u/USER, t/g/GROUP     the names of users and groups that were deleted
//	t/o/USER                the groups in which a user who was deleted may have left something
//	a/DEVICE/SEQUENCE       an outcome
//	f/DEVICE                the first sequence number whose outcome is kept for sure
//
// Values are XDR (RFC 4506) after a byte that says their version.
package meta
