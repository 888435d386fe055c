package dns

import (
	"math"

	"golang.org/x/net/dns/dnsmessage"
)

// maxAliases is how many aliases may lead to a name.
const maxAliases = 16

// follow takes from the answers the aliases that lead on from the name, and the records of the type asked for at their end.
// Answers that are on no such way are not the server's to give.
func (r *response) follow(name dnsmessage.Name, qtype dnsmessage.Type, answers []owned) error {
	r.name, r.ttl = name, math.MaxUint32
	for {
		at := fold(r.name)
		var alias *owned
		for i := range answers {
			answer := &answers[i]
			switch {
			case answer.owner != at:
			case answer.Header.Type == qtype:
				r.records = append(r.records, r.taken(answer))
			case alias == nil:
				alias = answer
			}
		}
		if len(r.records) > 0 || alias == nil {
			return nil
		}
		if len(r.aliases) == maxAliases {
			return ErrChain
		}
		r.aliases = append(r.aliases, r.taken(alias))
		r.name = alias.Body.(*dnsmessage.CNAMEResource).CNAME
	}
}

// taken returns the record as it is handed out: the name in the letters by which it was come to, which servers need not repeat
// exactly, and a TTL that can be relied on.
func (r *response) taken(answer *owned) dnsmessage.Resource {
	resource := answer.Resource
	resource.Header.Name = r.name
	resource.Header.Class = dnsmessage.ClassINET
	resource.Header.TTL = timeToLive(resource.Header.TTL)
	r.ttl = min(r.ttl, resource.Header.TTL)
	return resource
}
