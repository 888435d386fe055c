//go:build race

package neighbour

const raceEnabled = true
