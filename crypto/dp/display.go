package dp

import "math"

// Epsilon converts a zCDP loss into the epsilon of (epsilon, delta)-differential
// privacy, for display: rho + 2 sqrt(rho ln(1/delta)). It is floating point, so
// nothing is decided by it and nothing replicated contains it.
func Epsilon(r NanoRho, delta float64) float64 {
	rho := float64(r) / float64(RhoUnit)
	return rho + 2*math.Sqrt(rho*math.Log(1/delta))
}
