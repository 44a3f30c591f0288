package rounds

// Remembered is of how many rounds this process remembers something.
func (r *Rounds) Remembered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.work)
}
