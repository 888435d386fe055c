package device

import (
	"errors"
	"flag"
	"io"
	"os"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/trace"
)

// wrapping is what flags say of the frames that pass through a device, whichever that is.
type wrapping struct {
	pcap  string
	trace bool
	seed  uint64
	fault fault.Direction
}

// register defines the flags.
func (w *wrapping) register(fs *flag.FlagSet) {
	fs.StringVar(&w.pcap, "pcap", "", "record what passes in this `file`, for Wireshark")
	fs.BoolVar(&w.trace, "trace", false, "print what passes")
	fs.Uint64Var(&w.seed, "seed", 0, "the `number` that faults follow from")
	d := &w.fault
	fs.DurationVar(&d.Delay, "delay", 0, "every frame takes this `long`")
	fs.DurationVar(&d.Jitter, "jitter", 0, "and up to this much `longer`")
	fs.IntVar(&d.Rate, "rate", 0, "drop all but so `many` frames in each 50 ms")
	fs.IntVar(&d.Bandwidth, "bandwidth", 0, "so many `octets` pass in a second")
	fs.IntVar(&d.MaxSize, "size-limit", 0, "drop packets of more `octets`")
	for _, chance := range []struct {
		name, what string
		value      *float64
	}{
		{"drop", "is lost", &d.Drop}, {"corrupt", "has an octet changed", &d.Corrupt},
		{"duplicate", "comes twice", &d.Duplicate}, {"reorder", "comes late", &d.Reorder},
	} {
		fs.Float64Var(chance.value, chance.name+"-chance", 0, "the `probability` that a frame "+chance.what+", either way")
	}
}

// wrap has what passes through a device, which has a name, recorded, injured and printed to out. It takes the device, and closes it
// if it fails.
func (w *wrapping) wrap(name string, device dev.Device, out io.Writer) (dev.Device, error) {
	fail := func(err error) (dev.Device, error) { return nil, errors.Join(err, device.Close()) }
	if w.injures() {
		faulty, err := fault.New(device, fault.Config{Seed: w.seed, Out: w.fault, In: w.fault})
		if err != nil {
			return fail(err)
		}
		device = faulty
	}
	if w.pcap != "" {
		recorded, err := w.record(name, device)
		if err != nil {
			return fail(err)
		}
		device = recorded
	}
	if w.trace {
		traced, err := trace.New(device, trace.Config{Writer: out})
		if err != nil {
			return fail(err)
		}
		device = traced
	}
	return device, nil
}

// injures reports whether any flag has something become of frames. (A Direction cannot be compared: it may have a script.)
func (w *wrapping) injures() bool {
	d := &w.fault
	return d.Delay != 0 || d.Jitter != 0 || d.Rate != 0 || d.Bandwidth != 0 || d.MaxSize != 0 ||
		d.Drop != 0 || d.Corrupt != 0 || d.Duplicate != 0 || d.Reorder != 0
}

// record has what passes through a device written to the file of -pcap, which is closed with the device.
func (w *wrapping) record(name string, device dev.Device) (dev.Device, error) {
	file, err := os.Create(w.pcap)
	if err != nil {
		return nil, err
	}
	writer, err := pcap.NewWriter(file, pcap.Config{})
	if err == nil {
		var recorded *pcap.Device
		if recorded, err = pcap.New(device, writer, pcap.InterfaceConfig{Name: name}); err == nil {
			return &recording{recorded, writer, file}, nil
		}
	}
	return nil, errors.Join(err, file.Close())
}

// recording is a device whose record is complete when it is closed.
type recording struct {
	*pcap.Device
	writer *pcap.Writer
	file   *os.File
}

func (r *recording) Close() error {
	return errors.Join(r.Device.Close(), r.writer.Err(), r.file.Close())
}
