package arch

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// netTest is one of package net's own tests and ours that hold the same idea, as package.Test; or the reason why the idea
// cannot apply. It may have both, where a part of the idea cannot.
type netTest struct {
	name   string
	tests  string
	reason string
}

// Reasons that more than one test has.
const (
	noDescriptors = "a connection has no file descriptor, so nothing can be made of one or from one"
	noUnix        = "Unix domain sockets are between the processes of one system: no packet carries them"
)

// netTests are the tests of package net about what every connection does, by file.
var netTests = map[string][]netTest{
	"timeout_test.go": {
		{"TestDialTimeout", "smolnet.TestDialTimeoutWhileTheBacklogIsFull smolnet.TestDialTimeout dialer.TestTimeouts", ""},
		{"TestDialTimeoutMaxDuration", "smolnet.TestDialTimeoutBeyondAllTime", ""},
		{"TestAcceptTimeout",
			"smolnet.TestDeadlineEndsEveryCall smolnet.TestDeadlineThatHasPassedBeforeTheCall smolnet.TestAcceptDeadline", ""},
		{"TestAcceptTimeoutMustReturn", "smolnet.TestLastDeadlineCounts", ""},
		{"TestAcceptTimeoutMustNotReturn", "smolnet.TestLastDeadlineCounts smolnet.TestCloseEndsEveryCall", ""},
		{"TestReadTimeout", "smolnet.TestDeadlineThatHasPassedBeforeTheCall smolnet.TestDeadlinePassesBetweenCalls", ""},
		{"TestReadTimeoutMustNotReturn",
			"smolnet.TestLastDeadlineCounts smolnet.TestDeadlinesAreForOneSide smolnet.TestCloseEndsEveryCall", ""},
		{"TestReadFromTimeout",
			"smolnet.TestDeadlineThatHasPassedBeforeTheCall smolnet.TestDeadlinePassesBetweenCalls smolnet.TestDatagramDeadlines", ""},
		{"TestWriteTimeout", "smolnet.TestDeadlineInThePastFailsAtOnce smolnet.TestDeadlinePassesBetweenCalls", ""},
		{"TestWriteTimeoutMustNotReturn",
			"smolnet.TestLastDeadlineCounts smolnet.TestDeadlinesAreForOneSide smolnet.TestCloseEndsEveryCall", ""},
		{"TestWriteToTimeout",
			"smolnet.TestDeadlinePassesBetweenCalls smolnet.TestDeadlineEndsWriteToOverASlowLink smolnet.TestDatagramDeadlines", ""},
		{"TestReadTimeoutFluctuation", "smolnet.TestDeadlineEndsEveryCall smolnet.TestDeadlineWakesCalls", ""},
		{"TestReadFromTimeoutFluctuation", "smolnet.TestDeadlineEndsEveryCall", ""},
		{"TestWriteTimeoutFluctuation", "smolnet.TestDeadlineEndsEveryCall smolnet.TestDeadlineWakesCalls", ""},
		{"TestVariousDeadlines", "smolnet.TestCopyEndsWithTheDeadline", ""},
		{"TestVariousDeadlines1Proc", "smolnet.TestCopyEndsWithTheDeadlineOnSoManyProcessors", ""},
		{"TestVariousDeadlines4Proc", "smolnet.TestCopyEndsWithTheDeadlineOnSoManyProcessors", ""},
		{"TestReadWriteProlongedTimeout",
			"smolnet.TestDeadlineIsPutOffByBothSides smolnet.TestIdleTimeoutThatIsExtendedAgainAndAgain", ""},
		{"TestReadWriteDeadlineRace", "smolnet.TestDeadlineRacesWithCalls smolnet.TestDeadlineRace smolnet.TestConn", ""},
		{"TestConcurrentSetDeadline", "smolnet.TestManySetDeadlinesAtOnce", ""},
	},
	"net_test.go": {
		{"TestCloseRead", "smolnet.TestReadAfterCloseRead smolnet.TestCloseRead", ""},
		{"TestCloseWrite",
			"smolnet.TestBothSidesCloseOneDirectionAfterTheOther smolnet.TestEndOfStreamIsBareEOF smolnet.TestWriteAfterCloseWrite", ""},
		{"TestConnClose", "smolnet.TestClosedConnection smolnet.TestCloseEndsEveryCall", ""},
		{"TestListenerClose", "smolnet.TestListenerClose smolnet.TestCloseEndsEveryCall smolnet.TestPortIsFreeAfterClose", ""},
		{"TestPacketConnClose", "smolnet.TestClosedSocket smolnet.TestCloseEndsEveryCall", ""},
		{"TestAcceptIgnoreAbortedConnRequest", "smolnet.TestAbortedConnectionsDoNotFailAccept core/tcp.TestHalfOpenReset", ""},
		{"TestZeroByteRead", "smolnet.TestZeroLengthCalls", ""},
		{"TestReadTimeoutUnblocksRead",
			"smolnet.TestDeadlineInThePastWakesEveryCall smolnet.TestDeadlineMovesWhileCallsWait", ""},
		{"TestCloseUnblocksRead", "smolnet.TestPeersCloseEndsRead", ""},
		{"TestCloseUnblocksReadUDP", "smolnet.TestReadIntoNothingEndsWithTheSocket smolnet.TestCloseEndsEveryCall", ""},
		{"TestNotTemporaryRead", "smolnet.TestResetIsNotTemporary smolnet.TestLingerOfZeroResets", ""},
		{"TestErrors",
			"internal/neterr.TestContextErrors internal/neterr.TestEverySentinelIsMapped smolnet.TestDialErrorsAreWellFormed", ""},
	},
	"error_test.go": {
		{"TestDialError", "smolnet.TestDialErrors smolnet.TestDialErrorsAreWellFormed", ""},
		{"TestProtocolDialError",
			"smolnet.TestAddressesThatCannotBe smolnet.TestKernelErrorsOfIP", "Of its networks those of TCP, UDP and IP: " + noUnix},
		{"TestDialAddrError", "smolnet.TestDialErrors smolnet.TestAddressesThatCannotBe smolnet.TestDialerOfOneFamily", ""},
		{"TestListenError", "smolnet.TestListenErrors smolnet.TestListenErrorsAreWellFormed", ""},
		{"TestListenPacketError", "smolnet.TestListenErrors smolnet.TestListenErrorsAreWellFormed", ""},
		{"TestProtocolListenError",
			"smolnet.TestAddressesThatCannotBe smolnet.TestKernelErrorsOfIP", "Of its networks those of TCP, UDP and IP: " + noUnix},
		{"TestCloseError", "smolnet.TestCloseAgainAndAgain smolnet.TestClosedConnection smolnet.TestClosedSocket", ""},
		{"TestAcceptError", "smolnet.TestAcceptLoop", ""},
		{"TestFileError", "", noDescriptors},
		{"TestContextError", "internal/neterr.TestContextErrors internal/neterr.TestContextErrorsReadAsPackageNets", ""},
	},
	"packetconn_test.go": {
		{"TestPacketConn", "smolnet.TestPacketConnsTalk smolnet.TestDatagrams smolnet.TestZonesOfDatagrams", ""},
		{"TestConnAndPacketConn", "smolnet.TestConnAndPacketConnTalk smolnet.TestDatagrams", ""},
	},
	"protoconn_test.go": {
		{"TestTCPListenerSpecificMethods", "smolnet.TestMethodsOfAListener", "File is missing: " + noDescriptors},
		{"TestTCPConnSpecificMethods", "smolnet.TestMethodsOfAConnection smolnet.TestSettingsAreTaken", ""},
		{"TestUDPConnSpecificMethods", "smolnet.TestMethodsOfASocket smolnet.TestEveryWayToReadAndWriteDatagrams smolnet.TestDatagramErrors",
			"File is missing: " + noDescriptors},
		{"TestIPConnSpecificMethods", "smolnet.TestMethodsOfAnIPSocket smolnet.TestKernelErrorsOfIP", "File is missing: " + noDescriptors},
		{"TestUnixListenerSpecificMethods", "", noUnix},
		{"TestUnixConnSpecificMethods", "", noUnix},
	},
	"conn_test.go": {
		{"TestConnAndListener", "smolnet.TestMethodsOfAConnection smolnet.TestConn", ""},
	},
}

// TestNetTests holds that the tests of package net which the lists name exist, and ours with them, and that the lists leave
// none out of the files they name.
func TestNetTests(t *testing.T) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	ours := make(ownTests)
	for _, list := range []map[string][]netTest{netTests, netDialTests} {
		for _, file := range slices.Sorted(maps.Keys(list)) {
			t.Run(file, func(t *testing.T) {
				listed := make(map[string]bool)
				for _, test := range list[file] {
					require.False(t, listed[test.name], "%s is listed twice", test.name)
					listed[test.name] = true
					require.True(t, test.tests != "" || test.reason != "", "%s has neither tests nor a reason", test.name)
					ours.require(t, test.name, test.tests)
				}

				path := filepath.Join(strings.TrimSpace(string(goroot)), "src", "net", file)
				theirs, err := testsOf(path)
				if errors.Is(err, fs.ErrNotExist) {
					t.Skipf("the sources of Go are not here, so nobody can tell what %s holds", path)
				}
				require.NoError(t, err)
				for _, name := range theirs {
					require.True(t, listed[name], "net's %s is not listed", name)
					delete(listed, name)
				}
				require.Empty(t, listed, "package net has no such tests")
			})
		}
	}
}

// testsOf returns the names of the test functions of a file.
func testsOf(path string) (names []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}
