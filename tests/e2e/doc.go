// Package e2e tests Shoal as its users meet it: the real binary, with servers, peers and commands as processes of their
// own, on loopback. A world is one server with what belongs to it; an island is a network namespace whose connections
// to the world lead through links that a test can hold and cut; a scripted peer says what a real one never would.
//
// SHOAL_BIN names the binary to test; without it one is built with the race detector.
package e2e
