package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// item is something that must hold, and the tests that hold it, as package.Test.
type item struct {
	what  string
	tests string
}

// checklist is what users of such stacks have suffered from in TCP, with the tests that hold that they do not here.
var checklist = []item{
	{"accept queue: three connect at the same time", "core/tcp.TestThreeConnectAtOnce"},
	{"accept queue: a burst of a thousand connects without a reset",
		"core/tcp.TestBurstOfConnectsSeesNoReset smolnet.TestKernelThousandConnectionsAtOnce"},
	{"accept queue: full", "core/tcp.TestAcceptQueueFull core/tcp.TestFinalAckFindsNoRoom smolnet.TestFullBacklogRefusesNobody smolnet.TestKernelFullBacklog"},
	{"accept queue: SYNs that nobody completes, then a good client", "core/tcp.TestGoodClientAmongSYNsThatNobodyCompletes"},
	{"accept queue: resets after the SYN|ACK, over and over", "core/tcp.TestEveryEndFreesItsPlace core/tcp.TestHalfOpenReset"},
	{"accept queue: a SYN that asks for ECN, or has unknown flags", "core/tcp.TestSYNFlags"},
	{"accept queue: a final ACK without timestamps", "core/tcp.TestFinalAckWithoutTimestamps"},

	{"close: data is pending and the window closed", "core/tcp.TestCloseBehindAClosedWindow core/tcp.TestFINBehindAClosedWindow core/tcp.TestOrphanBehindZeroWindow"},
	{"close: the FIN is lost", "core/tcp.TestFINIsRetransmitted core/tcp.TestAnyPacketMayBeLost"},
	{"close: the FIN is out of order", "core/tcp.TestFINOutOfOrder"},
	{"close: both sides at once", "core/tcp.TestSimultaneousClose core/tcp.TestClosingAtOnce"},
	{"close: unread data", "core/tcp.TestCloseWithUnreadData smolnet.TestCloseWithUnreadDataResets"},
	{"close: data comes afterwards", "core/tcp.TestDataAfterClose"},
	{"close: a hundred connections leave goroutines and ports as they were", "smolnet.TestConnectionsLeaveNothing smolnet.TestCloseLeavesNothing"},

	{"window: it re-opens and the update is lost", "core/tcp.TestZeroWindowRules core/tcp.TestZeroWindow smolnet.TestKernelZeroWindow"},
	{"window: it shrinks", "core/tcp.TestShrinkingWindow core/tcp.TestPeerShrinksItsWindow"},
	{"window: data beyond it", "core/tcp.TestDataBeyondTheWindow core/tcp.TestSegmentArrives"},
	{"window: a reader of one octet at a time", "core/tcp.TestSillyWindow smolnet.TestSmallReadsOfLargePackets"},
	{"window: scales from 0 to 14", "core/tcp.TestEveryWindowScale core/tcp.TestWindowScaleBeyondTheLimit"},
	{"window: two full peers on the loopback", "core.TestFullPeersDoNotAnswerEachOtherForever core/tcp.TestWindowUpdateOfPeerWithClosedWindow"},

	{"loss of 0.1 to 30 %", "internal/tcpsim.TestGoodputOverLoss smolnet.TestKernelUnderFaults"},
	{"reordering", "internal/tcpsim.TestGoodputOverReordering smolnet.TestKernelUnderFaults"},
	{"duplication and corruption", "internal/tcpsim.TestChaos dev/fault.TestStreamsSurvive smolnet.TestKernelUnderFaults"},
	{"the tail is lost", "internal/tcpsim.TestTailLoss core/tcp.TestScenarioTailLossProbe smolnet.TestKernelTailLoss"},
	{"large segments over the loopback", "core/tcp.TestDelayedAcknowledgmentsNeverStallLargeSegments smolnet.BenchmarkThroughput"},

	{"TIME-WAIT: the same ports again at once", "core/tcp.TestSameNameReopenedAtOnce core/tcp.TestSYNInTimeWait"},
	{"TIME-WAIT: sixty thousand dials one after the other", "core/tcp.TestSixtyThousandSequentialDials"},

	{"neighbour: the first ping is answered", "core.TestFirstPingIsAnsweredThoughTheNeighbourIsUnknown smolnet.TestKernelFirstPingIsAnswered"},
	{"neighbour: a dead one delays nobody else", "core.TestDeadNeighbourDelaysNobodyElse"},
	{"neighbour: a burst of 256 SYNs waits for one", "core.TestBurstOfSYNsWaitsForItsNeighbour"},
	{"neighbour: what has waited is not overtaken", "core.TestWhatHasWaitedIsNotOvertaken"},

	{"path MTU: packet too big lowers the segment size, and what was too large is sent again",
		"core/tcp.TestPacketTooBig core/tcp.TestPacketTooBigShrinksTheCongestionWindow core/tcp.TestInfoOfThePath"},
	{"path MTU: a forged packet too big is ignored", "core/tcp.TestForgedPathMTU core/tcp.TestBlindICMP"},
	{"path MTU: a black hole", "core/tcp.TestBlackHole smolnet.TestKernelOverBlackHole"},
}

// features are those of TCP, with the scenarios that fail, or fall behind, without them.
var features = []item{
	{"selective acknowledgments", "core/tcp.TestScenarioSACK core/tcp.TestSACKBlocksAreTheMostRecentFirst internal/tcpsim.TestFeatures"},
	{"the scoreboard's bound", "core/tcp.TestSentStaysWithinItsBound core/tcp.TestSACKStormCostsWhatItSays"},
	{"D-SACK", "core/tcp.TestDuplicatesAreReported core/tcp.TestDSACKUndoesARecovery core/tcp.TestDSACKWidensTheReorderingWindow"},
	{"RACK", "core/tcp.TestScenarioRACKLostRetransmission core/tcp.TestScenarioRACKReordering core/tcp.TestRACKBearsWithReordering internal/tcpsim.TestFeatures"},
	{"tail loss probe", "core/tcp.TestScenarioTailLossProbe internal/tcpsim.TestFeatures"},
	{"NewReno", "core/tcp.TestNewRenoFillsAHoleARoundTrip core/tcp.TestFastRetransmit"},
	{"proportional rate reduction", "core/tcp.TestScenarioPRR"},
	{"F-RTO", "core/tcp.TestScenarioFRTO core/tcp.TestSpuriousTimeout"},
	{"undo by timestamps", "core/tcp.TestScenarioTimestamps internal/tcpsim.TestFeatures"},
	{"limited transmit", "core/tcp.TestScenarioLimitedTransmit"},

	{"round trips by timestamps", "core/tcp.TestRTTM core/tcp.TestRoundTripSamples"},
	{"PAWS", "core/tcp.TestPAWS core/tcp.TestOldDuplicateFromBeforeAWrap"},
	{"the offset of timestamps", "core/tcp.TestTimestampOffsetBelongsToTheConnection core/tcp.TestTimestampsInTimeWait"},
	{"segments without the timestamps that were agreed on", "core/tcp.TestTimestampsOption core/tcp.TestFinalAckWithoutTimestamps"},

	{"CUBIC", "internal/tcpsim.TestModels internal/tcpsim.TestFeatures"},
	{"HyStart++", "core/tcp/congestion.TestHyStartSparesTheQueue internal/tcpsim.TestFeatures"},
	{"Reno", "internal/tcpsim.TestModels"},
	{"BBR", "internal/tcpsim.TestFeatures internal/tcpsim.TestGoodputOverLoss smolnet.TestKernelUnderFaultsWithBBR"},
	{"pacing", "core/tcp.TestPacerKeepsTheRate internal/tcpsim.TestFeatures"},
	{"the choice, of a stack and of a connection", "smolnet.TestCongestionControlByName core/tcp.TestCongestionControlIsExchanged smolnet.TestOptionsOfStackDialerAndListener"},
	{"validation of windows", "core/tcp.TestIdleWindowIsKeptForFiveMinutes core/tcp.TestValidationLoss core/tcp.TestValidationIdle"},

	{"ECN", "core/tcp.TestMarksTakeThePlaceOfDrops core/tcp.TestAskingForECN internal/tcpsim.TestFeatures smolnet.TestKernelUnderCongestion"},
	{"path MTU by ICMP", "core/tcp.TestPacketTooBig core/tcp.TestForgedPathMTU core/tcp.TestMTUBounds"},
	{"path MTU by probes", "core/tcp.TestBlackHole core/tcp.TestProbesFindTheLargerPath smolnet.TestKernelOverBlackHole"},

	{"buffers that tune themselves", "core/tcp.TestBuffersThatTuneThemselvesFillAPath internal/tcpsim.TestFeatures"},
	{"memory that is given back", "core/tcp.TestIdleConnectionsGiveTheirBufferBack"},
	{"a bound for the memory of a stack", "core/tcp.TestFullMemoryFreezesTheWindow core/tcp.TestConnectionThatHoldsNothingIsOfferedASegment " +
		"core/tcp.TestTinyMemoryNeverDeadlocks core/tcp.TestRightEdgeNeverMovesLeft"},

	{"SYN cookies", "core/tcp.TestGoodClientAmongSYNsThatNobodyCompletes core/tcp.TestCookiesOnlyWhenTheQueueIsFull core/tcp.TestCookieKeepsWhatTheSYNOffered"},
	{"stale half-open connections", "core/tcp.TestStaleHalfOpenConnectionsExpire core/tcp.TestHalfOpenExpires"},
	{"counters", "core/tcp.TestEveryDropIsCounted"},
	{"Fast Open", "core/tcp.TestFastOpenServer core/tcp.TestFastOpenClient smolnet.TestDialFastOpen internal/tcpsim.TestFastOpenSavesARoundTrip"},

	{"NoDelay", "core/tcp.TestNagle smolnet.TestSettingsAreTaken"},
	{"writes that leave together", "core/tcp.TestWritesBeforeTheTurnLeaveTogether smolnet.TestWritesWhileTheDeviceIsBusyLeaveTogether"},
	{"quick acknowledgments", "internal/tcpsim.TestFeatures core/tcp.TestQuickAcknowledgmentsAfterAPause"},
	{"keep-alive", "core/tcp.TestKeepAlive core/tcp.TestKeepAliveIsChanged smolnet.TestKeepAliveEndsADeadConnection"},
	{"user timeout", "core/tcp.TestUserTimeout core/tcp.TestKeepAliveWithUserTimeout core/tcp.TestUserTimeoutIsChanged"},
	{"linger", "core/tcp.TestLinger smolnet.TestLingerOfZeroResets"},
	{"hop limit and traffic class", "core/tcp.TestHopLimitAndTrafficClassAreChanged smolnet.TestHeaderSettingsAreOnTheWire"},
	{"Info", "core/tcp.TestInfo core/tcp.TestInfoOfALoss core/tcp.TestInfoOfATimeout core/tcp.TestInfoOfThePath smolnet.TestInfoOfAConnection"},
	{"ICMP errors", "core/tcp.TestDialUnreachable smolnet.TestDialFailsByICMP smolnet.TestICMPIsReportedInsteadOfATimeout core/tcp.TestSoftErrorIsForgottenWithProgress"},
}

// controlPlane is what they have suffered from below that.
var controlPlane = []item{
	{"DHCP: a renewal without router and mask", "core/dhcpv4.TestRenewalKeepsWhatIsNotSaid"},
	{"DHCP: a slow server, and one identifier", "core/dhcpv4.TestRetransmission core/dhcpv4.TestRequestsAreRepeatedWithTheSameIdentifier"},
	{"DHCP: T1 and T2, in order or not", "core/dhcpv4.TestTimes core/dhcpv4.TestTimesAreAlwaysInOrder smolnet.TestKernelDHCPRenewal"},
	{"DHCP: zeros among DNS servers, eight routers", "core/wire.TestDHCPv4Options"},
	{"DHCP: refusals", "core/dhcpv4.TestStateMachine smolnet.TestKernelDHCPRefusal"},
	{"DHCP: what a renewal must and must not carry", "core/dhcpv4.TestMessages"},
	{"DHCP: the address stays while it is renewed, and goes with the lease", "core.TestDHCPv4ServerGone"},
}

// TestChecklists holds that the tests exist which the lists above name.
func TestChecklists(t *testing.T) {
	ours := make(ownTests)
	for _, list := range [][]item{checklist, features, controlPlane} {
		for _, i := range list {
			ours.require(t, i.what, i.tests)
		}
	}
}

// ownTests are the module's tests: what the test files of a package hold, read when first asked for.
type ownTests map[string]string

func (o ownTests) sources(t *testing.T, pkg string) string {
	if s, ok := o[pkg]; ok {
		return s
	}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		all.Write(b)
	}
	o[pkg] = all.String()
	return o[pkg]
}

// require requires that the tests exist, each of them package.Test, which hold what is said.
func (o ownTests) require(t *testing.T, what, tests string) {
	t.Helper()
	for _, name := range strings.Fields(tests) {
		pkg, test, ok := strings.Cut(name, ".")
		require.True(t, ok, name)
		found, err := regexp.MatchString(`(?m)^func `+regexp.QuoteMeta(test)+`\(`, o.sources(t, pkg))
		require.NoError(t, err)
		require.True(t, found, "%s: there is no %s", what, name)
	}
}
