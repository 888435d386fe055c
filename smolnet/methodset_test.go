package smolnet_test

import (
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// own puts the types here in place of package net's.
var own = strings.NewReplacer("*net.TCPConn", "*smolnet.TCPConn", "*net.TCPListener", "*smolnet.TCPListener",
	"*net.UDPConn", "*smolnet.UDPConn", "*net.IPConn", "*smolnet.IPConn", "net.Interface", "smolnet.NetInterface")

// Package net's functions are methods of a stack, with the same parameters and results but for the concrete types.
func TestFunctionsOfPackageNet(t *testing.T) {
	ours := reflect.TypeFor[*smolnet.Stack]()
	for name, theirs := range map[string]any{
		"Dial": net.Dial, "DialTimeout": net.DialTimeout, "DialTCP": net.DialTCP, "DialUDP": net.DialUDP,
		"Listen": net.Listen, "ListenPacket": net.ListenPacket, "ListenTCP": net.ListenTCP, "ListenUDP": net.ListenUDP,
		"DialIP": net.DialIP, "ListenIP": net.ListenIP,
		"ResolveTCPAddr": net.ResolveTCPAddr, "ResolveUDPAddr": net.ResolveUDPAddr, "ResolveIPAddr": net.ResolveIPAddr,
		"LookupHost": net.LookupHost, "LookupIP": net.LookupIP, "LookupAddr": net.LookupAddr, "LookupCNAME": net.LookupCNAME,
		"LookupMX": net.LookupMX, "LookupNS": net.LookupNS, "LookupPort": net.LookupPort, "LookupSRV": net.LookupSRV,
		"LookupTXT":  net.LookupTXT,
		"Interfaces": net.Interfaces, "InterfaceByName": net.InterfaceByName, "InterfaceByIndex": net.InterfaceByIndex,
		"InterfaceAddrs": net.InterfaceAddrs,
	} {
		method, ok := ours.MethodByName(name)
		if !ok {
			t.Errorf("a stack has no %s", name)
			continue
		}
		want := own.Replace(reflect.TypeOf(theirs).String())
		got := strings.Replace(method.Type.String(), "(*smolnet.Stack, ", "(", 1)
		got = strings.Replace(got, "(*smolnet.Stack)", "()", 1)
		require.Equal(t, want, got, name)
	}
	var listen func(*smolnet.Stack, string, *net.Interface, *net.UDPAddr) (*smolnet.UDPConn, error) = (*smolnet.Stack).ListenMulticastUDP
	require.NotNil(t, listen)
}

// A Dialer, a ListenConfig and a Resolver have package net's fields and methods, but for what is meant for file descriptors.
func TestConfigurationsOfPackageNet(t *testing.T) {
	for _, tc := range []struct {
		theirs, ours reflect.Type
		without      []string // what would be about file descriptors and other networks
		fields       []string // that have other types here, or other names
	}{
		{reflect.TypeFor[net.Dialer](), reflect.TypeFor[dialer.Dialer](),
			[]string{"DialUnix"}, []string{"Resolver", "Control", "ControlContext"}},
		{reflect.TypeFor[net.ListenConfig](), reflect.TypeFor[listener.ListenConfig](), nil, []string{"Control"}},
		{reflect.TypeFor[net.Resolver](), reflect.TypeFor[smolnet.Resolver](), nil, []string{"PreferGo", "StrictErrors", "Dial"}},
	} {
		for _, field := range reflect.VisibleFields(tc.theirs) {
			if !field.IsExported() || slices.Contains(tc.fields, field.Name) {
				continue
			}
			counterpart, ok := tc.ours.FieldByName(field.Name)
			require.True(t, ok, "%v has no %s", tc.ours, field.Name)
			require.Equal(t, field.Type, counterpart.Type, "%v.%s", tc.ours, field.Name)
		}
		theirs, ours := reflect.PointerTo(tc.theirs), reflect.PointerTo(tc.ours)
		for i := range theirs.NumMethod() {
			method := theirs.Method(i)
			if slices.Contains(tc.without, method.Name) {
				continue
			}
			counterpart, ok := ours.MethodByName(method.Name)
			require.True(t, ok, "%v has no %s", ours, method.Name)
			want := strings.Replace(method.Type.String(), theirs.String(), ours.String(), 1)
			got := counterpart.Type.String()
			if strings.HasPrefix(want, "func(*dialer.Dialer, ") {
				// The connection is a stack's, of whichever type that has.
				want = strings.NewReplacer("*net.TCPConn", "net.Conn", "*net.UDPConn", "net.Conn", "*net.IPConn", "net.Conn").Replace(want)
			}
			require.Equal(t, want, got, "%v.%s", ours, method.Name)
		}
	}
}

// Package net's types have namesakes here with the same methods, but for those that need a file descriptor.
func TestMethodsOfPackageNet(t *testing.T) {
	for _, pair := range []struct{ theirs, ours any }{
		{(*net.TCPConn)(nil), (*smolnet.TCPConn)(nil)},
		{(*net.TCPListener)(nil), (*smolnet.TCPListener)(nil)},
		{(*net.UDPConn)(nil), (*smolnet.UDPConn)(nil)},
		{(*net.IPConn)(nil), (*smolnet.IPConn)(nil)},
	} {
		theirs, ours := reflect.TypeOf(pair.theirs), reflect.TypeOf(pair.ours)
		require.GreaterOrEqual(t, theirs.NumMethod(), 7)
		for i := range theirs.NumMethod() {
			method := theirs.Method(i)
			counterpart, ok := ours.MethodByName(method.Name)
			if method.Name == "File" || method.Name == "SyscallConn" {
				require.False(t, ok, "%v.%s would fail, and there are those who fail with it", ours, method.Name)
				continue
			}
			if !ok {
				t.Errorf("%v has no %s", ours, method.Name)
				continue
			}
			if want, got := own.Replace(method.Type.String()), counterpart.Type.String(); want != got {
				t.Errorf("%v.%s is %s, not %s", ours, method.Name, got, want)
			}
		}
	}
}
