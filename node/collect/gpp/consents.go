package gpp

// Answer is what a string says of one of our purposes.
type Answer int

// A string that does not speak of a purpose leaves it Unset.
const (
	Unset Answer = iota
	Denied
	Granted
)

// Consents is what a string says of each of our purposes.
type Consents struct {
	Analytics, Advertising, Personalisation, Pooling Answer
}

// The IAB's purposes that ours need, all of them. Purpose 1 is not used in Canada.
var (
	forAnalytics       = []int{8, 9, 10}   // measuring content, insights into audiences, improving
	forAdvertising     = []int{2, 7}       // choosing advertisements, measuring them
	forPersonalisation = []int{3, 4, 5, 6} // profiles, and what is chosen by them
)

// Consents translates the Canadian section, the most protective way: only express
// consent counts, and to every purpose of the IAB's that one of ours takes in. The IAB
// has no purpose for what members share with each other, so that pooling stays Unset:
// a house has to ask for it itself.
//
// Where the site keeps its own answers beside its vendors' (Publisher), both must say
// yes. A segment with nothing in it is what tools write that do not keep any.
func (c *TCFCA) Consents() Consents {
	return Consents{
		Analytics:       c.all(forAnalytics),
		Advertising:     c.all(forAdvertising),
		Personalisation: c.all(forPersonalisation),
	}
}

func (c *TCFCA) all(purposes []int) Answer {
	own := c.Publisher
	silent := own == nil || len(own.Express)+len(own.Implied)+len(own.CustomExpress)+len(own.CustomImplied) == 0
	for _, p := range purposes {
		if !c.Express.Has(p) || !silent && !own.Express.Has(p) {
			return Denied
		}
	}
	return Granted
}
