//go:build !race

package neighbour

const raceEnabled = false
