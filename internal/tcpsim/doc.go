// Package tcpsim runs TCP in simulated networks: two or more stacks, joined by links that delay, lose, corrupt, double
// and reorder what passes, in one goroutine and in virtual time. Hours pass in a second, and everything follows from a
// seed, so that what has gone wrong once goes wrong again when asked to.
//
// A Network is stacks and links; a Flow is a connection between two of them with its users at both ends, who check what
// arrives. Every segment is seen on its way: see witness for what must hold of each. Run makes a network for one
// Scenario, and Chaos makes a scenario of a seed.
package tcpsim
