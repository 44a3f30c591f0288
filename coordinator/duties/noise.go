package duties

import (
	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/match"
)

// confidence of the published intervals, in percent.
const confidence = 95

// noised turns exact counts into publishable figures. The exact counts go no
// further.
func noised(ref protocol.RoundRef, m protocol.Manifest, floor dp.Floor, exact match.Outcome) (protocol.Result, error) {
	size, err := figure(uint64(exact.Total), m.Noise.Total, floor)
	if err != nil {
		return protocol.Result{}, err
	}
	result := protocol.Result{RoundRef: ref, Size: size, Sources: make([]protocol.SourceFigure, len(m.Sources))}
	for i, source := range m.Sources {
		part, err := figure(uint64(exact.Sources[i].Holds), m.Noise.Sources, floor)
		if err != nil {
			return protocol.Result{}, err
		}
		result.Sources[i] = protocol.SourceFigure{Source: source.Name, Figure: part}
	}
	return result, nil
}

func figure(exact uint64, v dp.Variance, floor dp.Floor) (protocol.Figure, error) {
	noise, err := dp.Noise(v)
	if err != nil {
		return protocol.Figure{}, err
	}
	value := int64(exact) + noise
	if !dp.Publishable(value, floor, v) {
		return protocol.Figure{Variance: v, Suppressed: protocol.BelowFloor}, nil
	}
	low, high, err := dp.Interval(value, v, confidence)
	if err != nil {
		return protocol.Figure{}, err
	}
	return protocol.Figure{Value: value, Low: low, High: high, Variance: v}, nil
}
