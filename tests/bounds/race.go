//go:build race

package bounds

// slack is by how much more may be allocated: under the race detector a sync.Pool throws away some of what it is given.
const slack = 4
