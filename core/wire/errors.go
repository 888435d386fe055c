package wire

import "errors"

// What can be wrong with octets. Parsing returns these bare, so that refusing a packet allocates nothing and causes
// can be told apart and counted by comparing.
var (
	// ErrTruncated: the octets end before the header, or something the header announces, does.
	ErrTruncated = errors.New("wire: truncated")
	// ErrLength: a length field contradicts another or the octets there are.
	ErrLength = errors.New("wire: inconsistent length")
	// ErrVersion: the packet is of another version of the protocol, or of a hardware or protocol type not known here.
	ErrVersion = errors.New("wire: unsupported version")
	// ErrChecksum: the checksum does not match the octets.
	ErrChecksum = errors.New("wire: wrong checksum")
	// ErrMalformed: a field has a value that the protocol does not allow.
	ErrMalformed = errors.New("wire: malformed")
	// ErrOption: an option's length or value is not allowed.
	ErrOption = errors.New("wire: bad option")
)
