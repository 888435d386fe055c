package dns

import (
	"slices"
	"time"
)

// open makes sure that there is a socket for every link and family, as they are now. It fails if there is none at all.
func (l *querier) open() error {
	l.opening.Lock()
	defer l.opening.Unlock()
	links := l.links()
	l.mu.Lock()
	l.lastAsked = time.Now() // so that none is closed meanwhile
	former := l.sockets
	l.mu.Unlock()

	var err error = ErrNoServers
	var sockets []*linkSocket
	news := false
	for _, link := range links {
		of := func(s *linkSocket) bool { return s.zone == link.Zone && s.family == link.Family }
		if i := slices.IndexFunc(former, of); i >= 0 {
			sockets = append(sockets, former[i])
			continue
		}
		socket := &linkSocket{zone: link.Zone, family: link.Family}
		opened, failed := link.Open(func(message []byte, origin Origin) { l.heard(socket, message, origin) })
		if failed != nil {
			err = failed
			continue
		}
		socket.MulticastSocket = opened
		sockets = append(sockets, socket)
		news = true
	}
	l.replace(sockets, news)
	for _, socket := range former {
		if !slices.Contains(sockets, socket) {
			socket.Close()
		}
	}
	if len(sockets) == 0 {
		return err
	}
	return nil
}

// replace has other sockets from now on, with some new ones among them if news is true.
func (l *querier) replace(sockets []*linkSocket, news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sockets = sockets
	l.cache.forget(l.zones())
	if news {
		l.cache.ungather()
	}
}
