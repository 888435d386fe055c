package dns

import (
	"container/list"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxSetRecords is how many records of one name and type are kept. More than that many hosts do not share a name.
	maxSetRecords = 256

	// lastSecond is how long a record stays that has been taken back, by its owner or by another's claim that there is no such
	// record: others who have it as well may say so meanwhile.
	// https://www.rfc-editor.org/rfc/rfc6762.html#section-10.1
	// https://www.rfc-editor.org/rfc/rfc6762.html#section-10.2
	lastSecond = time.Second
)

// refreshAt are the parts of a record's time to live, in percent, after which it is asked for again.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-5.2
var refreshAt = []int{80, 85, 90, 95}

// A linkCache has the records that hosts on the links have told of, each until it expires. Of sets that have not been asked for, or
// heard of, for longest it drops as many as it takes to stay within its bound.
type linkCache struct {
	bound int // records
	count int
	cost  int // see recordCost
	sets  map[linkKey]*recordSet
	// recent has the sets, the one last used in front.
	recent list.List

	maxTTL, maxNegativeTTL time.Duration // 0: no bound
}

// A linkKey is what makes records a set: they are one link's, one name's, and of one type.
type linkKey struct {
	zone string
	key
}

type recordSet struct {
	key     linkKey
	element *list.Element
	records []linkRecord

	// gathered: they have been asked for, so that these are all that there are. Who joins later tells so unasked.
	gathered bool
	used     time.Time // when somebody was last served from here
	jitter   int       // 0 to 255: a part of 2 percent by which refreshing is put off
}

type linkRecord struct {
	dnsmessage.Resource
	data     string // the body in a form that can be compared
	received time.Time
	expires  time.Time
	refresh  int  // how many of refreshAt have passed
	unique   bool // its set has one owner, who has told of all of it
	leaving  bool // it has been taken back
}

// lives reports whether the record is to be relied on.
func (r *linkRecord) lives(now time.Time) bool { return !r.leaving && now.Before(r.expires) }

// remains returns the record as of now, as it is handed out.
func (r *linkRecord) remains(now time.Time) dnsmessage.Resource {
	resource := r.Resource
	resource.Header.Class = dnsmessage.ClassINET
	resource.Header.TTL = uint32((r.expires.Sub(now) + time.Second - 1) / time.Second)
	return resource
}

// recordHeader is how many octets a record takes at least in a message, besides its data.
const recordHeader = 11

// recordCost is about how much memory, in octets, a record takes at most: see Answer.cost.
func recordCost(r dnsmessage.Resource) int {
	const record, textOctet = 600, 16
	return record + textOctet*int(r.Header.Length)
}

// hear takes note of the records of one message from a link.
func (c *linkCache) hear(zone string, records []dnsmessage.Resource, now time.Time, jitter int) {
	for _, r := range records {
		k := linkKey{zone, key{fold(r.Header.Name), r.Header.Type}}
		unique := r.Header.Class&classFlag != 0
		if unique {
			c.flush(k, now)
		}
		c.put(k, r, unique, now, jitter)
	}
}

// flush has the records of a set leave that have not just been heard, because the owner of them all tells of them now. It may take
// several messages to do so.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-10.2
func (c *linkCache) flush(k linkKey, now time.Time) {
	set := c.sets[k]
	if set == nil {
		return
	}
	for i := range set.records {
		if r := &set.records[i]; now.Sub(r.received) > lastSecond {
			r.leave(now)
		}
	}
}

func (r *linkRecord) leave(now time.Time) {
	if !r.leaving {
		r.leaving, r.expires = true, minTime(r.expires, now.Add(lastSecond))
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// put takes note of one record.
func (c *linkCache) put(k linkKey, resource dnsmessage.Resource, unique bool, now time.Time, jitter int) {
	ttl := time.Duration(timeToLive(resource.Header.TTL)) * time.Second
	bound := c.maxTTL
	if k.qtype == typeNSEC {
		bound = c.maxNegativeTTL
	}
	if bound > 0 {
		ttl = min(ttl, bound)
	}
	set := c.sets[k]
	data := resource.Body.GoString()
	at := set.find(data)
	switch {
	case ttl == 0 && at >= 0:
		set.records[at].leave(now)
		return
	case ttl == 0:
		return
	case set == nil:
		set = &recordSet{key: k}
		set.element = c.recent.PushFront(set)
		if c.sets == nil {
			c.sets = make(map[linkKey]*recordSet)
		}
		c.sets[k] = set
	default:
		c.recent.MoveToFront(set.element)
	}
	record := linkRecord{Resource: resource, data: data, received: now, expires: now.Add(ttl), unique: unique}
	set.jitter = jitter
	switch {
	case at >= 0:
		set.records[at] = record
	case len(set.records) < maxSetRecords:
		set.records = append(set.records, record)
		c.count++
		c.cost += recordCost(resource)
	}
	for len(c.sets) > 1 && (c.count > c.bound || c.cost > c.bound*costPerEntry) {
		c.remove(c.recent.Back().Value.(*recordSet))
	}
}

// find returns where the record is that has the data, -1 if there is none. The set may be nil.
func (s *recordSet) find(data string) int {
	if s != nil {
		for i := range s.records {
			if s.records[i].data == data {
				return i
			}
		}
	}
	return -1
}

func (c *linkCache) remove(set *recordSet) {
	for i := range set.records {
		c.cost -= recordCost(set.records[i].Resource)
	}
	c.count -= len(set.records)
	c.recent.Remove(set.element)
	delete(c.sets, set.key)
}

// expire drops what has expired.
func (c *linkCache) expire(now time.Time) {
	for _, set := range c.sets {
		kept := set.records[:0]
		for _, r := range set.records {
			if now.Before(r.expires) {
				kept = append(kept, r)
				continue
			}
			c.count--
			c.cost -= recordCost(r.Resource)
			// Whoever had it may have it still, and its last message have been lost.
			set.gathered = set.gathered && r.leaving
		}
		clear(set.records[len(kept):])
		if set.records = kept; len(kept) == 0 {
			c.remove(set)
		}
	}
}

// forget drops what has been heard on links other than those.
func (c *linkCache) forget(zones []string) {
	for k, set := range c.sets {
		if !slices.Contains(zones, k.zone) {
			c.remove(set)
		}
	}
}

// ungather has all sets that hosts share asked for again: something may have been missed.
func (c *linkCache) ungather() {
	for _, set := range c.sets {
		set.gathered = false
	}
}

// found is what the cache has on a question.
type found struct {
	response
	complete bool // there is no more than that
}

// answer returns what hosts of one link have said of the name. ok reports whether they have: either that it has such records, or
// that it is an alias, or that it has none.
func (c *linkCache) answer(zone string, name dnsmessage.Name, qtype dnsmessage.Type, now time.Time) (f found, ok bool) {
	var records []owned
	f.complete = true
	for at := fold(name); len(records) <= maxSetRecords; {
		own := c.take(linkKey{zone, key{at, qtype}}, now, &records, &f.complete)
		if own > 0 || qtype == dnsmessage.TypeCNAME {
			break
		}
		if c.take(linkKey{zone, key{at, dnsmessage.TypeCNAME}}, now, &records, &f.complete) == 0 {
			break
		}
		at = fold(records[len(records)-1].Body.(*dnsmessage.CNAMEResource).CNAME)
	}
	if f.follow(name, qtype, records) != nil {
		return found{}, false
	}
	f.zone, f.ofLink = zone, true
	for _, r := range records {
		f.size += recordHeader + int(r.Header.Length)
	}
	f.complete = f.complete && len(records) > 0
	if len(f.records) == 0 {
		f.negativeTTL, f.certain = c.denied(linkKey{zone, key{fold(f.name), typeNSEC}}, qtype, now)
	}
	return f, len(f.records) > 0 || len(f.aliases) > 0 || f.certain
}

// take appends the records of a set that are to be relied on, and counts them. complete becomes false if there may be others.
func (c *linkCache) take(k linkKey, now time.Time, records *[]owned, complete *bool) (count int) {
	set := c.sets[k]
	if set == nil {
		return 0
	}
	for i := range set.records {
		r := &set.records[i]
		if !r.lives(now) {
			continue
		}
		*records = append(*records, owned{k.name, r.remains(now)})
		*complete = *complete && (r.unique || set.gathered)
		count++
	}
	return count
}

// denied reports whether the owner of a name has said that it has no record of the type, and for how many seconds that holds.
func (c *linkCache) denied(k linkKey, qtype dnsmessage.Type, now time.Time) (ttl uint32, ok bool) {
	set := c.sets[k]
	if set == nil {
		return 0, false
	}
	for i := range set.records {
		if r := &set.records[i]; r.lives(now) && denies(r.Resource, qtype) {
			return r.remains(now).Header.TTL, true
		}
	}
	return 0, false
}

// known returns the records of a set to tell others of when it is asked for.
//
//	a Multicast DNS querier SHOULD NOT include records in the Known-Answer list whose remaining TTL is less than half of their
//	original TTL
//
// https://www.rfc-editor.org/rfc/rfc6762.html#section-7.1
func (c *linkCache) known(k linkKey, now time.Time) (known []dnsmessage.Resource) {
	set := c.sets[k]
	if set == nil {
		return nil
	}
	for i := range set.records {
		r := &set.records[i]
		original := time.Duration(timeToLive(r.Header.TTL)) * time.Second
		if r.lives(now) && 2*r.expires.Sub(now) >= original {
			known = append(known, r.remains(now))
		}
	}
	return known
}

// knows reports whether all of the records are among those that known returns.
func (c *linkCache) knows(zone string, k key, records []dnsmessage.Resource, now time.Time) bool {
	ours := make(map[string]bool)
	for _, r := range c.known(linkKey{zone, k}, now) {
		ours[r.Body.GoString()] = true
	}
	for _, r := range records {
		if fold(r.Header.Name) == k.name && r.Header.Type == k.qtype && !ours[r.Body.GoString()] {
			return false
		}
	}
	return true
}

// onTheWay returns the sets that make up an answer: of each name on the way to the last the aliases, and the records asked for.
func (c *linkCache) onTheWay(r *response, qtype dnsmessage.Type) (sets []*recordSet) {
	names := []string{fold(r.name)}
	for _, alias := range r.aliases {
		names = append(names, fold(alias.Header.Name))
	}
	for _, name := range names {
		for _, t := range []dnsmessage.Type{qtype, dnsmessage.TypeCNAME, typeNSEC} {
			if set := c.sets[linkKey{r.zone, key{name, t}}]; set != nil {
				sets = append(sets, set)
			}
		}
	}
	return sets
}

// use takes note that somebody has been served with the answer.
func (c *linkCache) use(r *response, qtype dnsmessage.Type, now time.Time) {
	for _, set := range c.onTheWay(r, qtype) {
		set.used = now
		c.recent.MoveToFront(set.element)
	}
}

// gather takes note that the answer's question has been asked, and answers been waited for.
func (c *linkCache) gather(r *response, qtype dnsmessage.Type) {
	for _, set := range c.onTheWay(r, qtype) {
		set.gathered = true
	}
}

// refresh returns when the first of the set's records that are of interest is to be asked for again, the zero value for never. Of
// interest is what somebody has been served with since it was last heard.
func (s *recordSet) refresh() (at time.Time) {
	for i := range s.records {
		r := &s.records[i]
		if r.leaving || r.refresh == len(refreshAt) || s.used.Before(r.received) || s.key.qtype == typeNSEC {
			continue
		}
		life := r.expires.Sub(r.received)
		due := r.received.Add(life/100*time.Duration(refreshAt[r.refresh]) + life/50*time.Duration(s.jitter)/256)
		if at.IsZero() || due.Before(at) {
			at = due
		}
	}
	return at
}

// refreshed takes note that the set has been asked for, by whomever.
func (s *recordSet) refreshed(now time.Time) {
	for i := range s.records {
		r := &s.records[i]
		life := r.expires.Sub(r.received)
		for r.refresh < len(refreshAt) && !now.Before(r.received.Add(life/100*time.Duration(refreshAt[r.refresh]))) {
			r.refresh++
		}
	}
}

func (c *linkCache) clear() {
	c.count, c.cost = 0, 0
	clear(c.sets)
	c.recent.Init()
}
