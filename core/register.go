package core

// The register of what a user's scheduler stores, in case it does not give it back.

// register notes that the scheduler stores job. The caller holds in.mu.
func (o *optional) register(job Job) {
	if o.stored == nil {
		o.stored = make(map[Job]int32)
	}
	o.stored[job]++
	o.live++
	o.most = max(o.most, o.live)
}

// unregister notes that job has left the scheduler, or that its entry is dead from
// now on. It reports false if it is not stored: the entry was dead already. The
// caller holds in.mu.
func (o *optional) unregister(job Job) bool {
	n := o.stored[job]
	if n == 0 {
		return false
	}
	if o.live--; o.live == 0 && o.most > keepRegister {
		o.stored, o.most = nil, 0
	} else if n > 1 {
		o.stored[job] = n - 1
	} else {
		delete(o.stored, job)
	}
	return true
}

// keepRegister is how many places of the register are kept while it is empty.
const keepRegister = 4096
