#!/bin/sh
# Writes to riot.expected.txt what tshark makes of riot.pcap: a line for each IPv6 packet or part of one, with the frame's number,
# what tshark calls the octets ("iphc": a frame's headers decompressed, with what follows them; "reassembled": a datagram, at the
# frame that completed it) and the octets.
set -e
cd "$(dirname "$0")"
LC_ALL=C tshark -r riot.pcap -P -x -o 'gui.column.format:"No.","%m"' \
	-o 6lowpan.context0:2001:db8::/64 -o 6lowpan.context1:2001:db8:1::/64 2>/dev/null |
	awk '
		function flush() { if (kind != "" && hex != "") print frame, kind, hex; kind = hex = "" }
		/^ *[0-9]+ *$/ { flush(); frame = $1; next }
		/^Decompressed 6LoWPAN IPHC/ { flush(); kind = "iphc"; next }
		/^Reassembled 6LoWPAN/ { flush(); kind = "reassembled"; next }
		/^[^0-9]/ { flush(); next }
		kind != "" && /^[0-9a-f]+  / { octets = substr($0, 7, 48); gsub(/ /, "", octets); hex = hex octets }
		END { flush() }
	' >riot.expected.txt
