package multicast

import "github.com/smolnet/smolnet/core/wire"

// send has the records leave in as many reports as they need.
func (f *family) send(now int64, records []wire.MulticastRecord) {
	link, room := f.host.cfg.Link, f.host.cfg.Link.Room(f.v6)
	var report []wire.MulticastRecord
	free := room
	flush := func() {
		if len(report) > 0 {
			link.SendRecords(now, report)
		}
		report, free = nil, room
	}
	for _, record := range records {
		for _, piece := range pieces(record, room) {
			length := piece.Len()
			if length > free {
				flush()
			}
			report = append(report, piece)
			free -= length
		}
	}
	flush()
}

// pieces divides a record that is too long for a report. One that excludes sources cannot be divided: then as many are told as
// fit, and the rest is received in vain.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-4.2.16
func pieces(record wire.MulticastRecord, room int) []wire.MulticastRecord {
	if record.Len() <= room {
		return []wire.MulticastRecord{record}
	}
	sources := record.Sources
	record.Sources = nil
	n := max((room-record.Len())/(record.Group.BitLen()/8), 1)
	if record.Type == wire.MulticastIsExclude || record.Type == wire.MulticastToExclude {
		record.Sources = sources[:min(n, len(sources))]
		return []wire.MulticastRecord{record}
	}
	var records []wire.MulticastRecord
	for len(sources) > 0 {
		n = min(n, len(sources))
		record.Sources, sources = sources[:n], sources[n:]
		records = append(records, record)
	}
	return records
}
