package tcp

// paced is how many of n octets that may leave by the windows may leave by the pace: 0 if none may yet, and then the connection's
// turn comes when they may.
func (c *Conn) paced(now int64, n int) int {
	rate, mss := c.window.Pacing, int(c.sndMSS)
	if rate <= 0 {
		return n
	}
	f := c.launch(now)
	budget := f.pacer.budget(now, rate, mss)
	if least := min(n, mss); budget < least {
		f.paceAt = f.pacer.next(now, rate, mss, min(n, int(pacerQuantum(rate, mss))))
		if f.paceAt > now {
			return 0
		}
		f.paceAt = never
		return least
	}
	if n <= budget {
		return n
	}
	return max(budget-budget%mss, min(n, mss))
}
