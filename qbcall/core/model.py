"""The nouns of a call: who, which, in what state, and why it ended."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NewType

from qbcall.core.webrtc_stats import webrtc_stats

User = NewType("User", str)
"""A participant: a bare JID, lower case, e.g. `1001-77@localhost`."""
Device = NewType("Device", str)
"""One client of a user: a full JID, e.g. `1001-77@localhost/phone`."""
CallId = NewType("CallId", str)
"""Unique name of one call, the same for all its participants; opaque text."""
Epoch = NewType("Epoch", int)
"""Number of one peer connection between two users in a call: 1, 2, …; facts of older ones are dropped."""
Info = Mapping[str, str]
"""What applications tell each other with a call, accept, reject or hang-up: flat, text to text; never None."""
Leads = Callable[[User, User], bool]
"""`leads(a, b)`: whether `a` is the one who offers between two equal users (QuickBlox: the higher id)."""


class MediaKind(enum.Enum):
    """One kind of media, named as in SDP."""

    AUDIO = "audio"
    VIDEO = "video"

    __hash__ = object.__hash__  # there is one of each; Enum's own is a function of Python, called for each packet


class CallMedia(enum.Enum):
    """What a call is about (QuickBlox: conference type)."""

    AUDIO = "audio"
    """Sound only."""
    VIDEO = "video"
    """Picture and sound."""

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        """The kinds of media that are exchanged, in the order of the m-lines."""
        both = (MediaKind.AUDIO, MediaKind.VIDEO)
        return both if self is CallMedia.VIDEO else both[:1]


class CallState(enum.Enum):
    """State of a call; it only moves forward, steps may be skipped (QuickBlox: session state)."""

    NEW = "new"
    """Created; nothing was sent."""
    PENDING = "pending"
    """Dialing, or ringing here."""
    CONNECTING = "connecting"
    """Somebody accepted; media is being negotiated."""
    CONNECTED = "connected"
    """Media flows with at least one participant."""
    CLOSED = "closed"
    """Over; `EndReason` says why."""


class PeerState(enum.IntEnum):
    """State of the connection to one user of a call, numbered as in QuickBlox's QBRTCConnectionState."""

    UNKNOWN = 0
    """No such user in this call."""
    NEW = 1
    """No networking yet."""
    PENDING = 2
    """Waiting for the user: dialing, ringing here, or waiting for an offer."""
    CONNECTING = 3
    """Offer and answer are being exchanged."""
    CHECKING = 4
    """ICE looks for a path."""
    CONNECTED = 5
    """There is a path, and keys were agreed."""
    DISCONNECTED = 6
    """Nothing was heard for the stall timeout; the call goes on and the peer may come back."""
    CLOSED = 7
    """Over; `EndReason` says why."""
    COUNT = 8
    """The number of states in QuickBlox's list; never a state."""
    DISCONNECT_TIMEOUT = 9
    """Lost for the whole disconnect interval."""
    NO_ANSWER = 10
    """Did not answer within the answer interval."""
    REJECTED = 11
    """Rejected the call."""
    HANG_UP = 12
    """Hung up."""
    FAILED = 13
    """No path was found, or it broke."""


class ReconnectionState(enum.Enum):
    """What became of a connection that was up and was lost (QuickBlox: QBRTCReconnectionState)."""

    STABLE = "stable"
    """Nothing is lost."""
    RECONNECTING = "reconnecting"
    """Lost; the disconnect interval runs."""
    RECONNECTED = "reconnected"
    """Came back. An event only: the state is STABLE again."""
    FAILED = "failed"
    """Did not come back within the disconnect interval."""


class Reception(enum.Enum):
    """What becomes of one kind of media on its way from one user to another, as its receiver counts it.

    A muted user, and a camera that shows a wall, are FLOWING: they send.
    """

    IDLE = "idle"
    """Nothing is to come: not agreed, not begun, or the sender says that it sends nothing."""
    FLOWING = "flowing"
    """It comes, and can be heard or seen."""
    SILENT = "silent"
    """Packets come, but no sound or picture comes out of them."""
    STALLED = "stalled"
    """No packets come, though there is a connection."""
    LOST = "lost"
    """The connection is lost."""

    @property
    def bad(self) -> bool:
        """Whether something is missing."""
        return self in (Reception.SILENT, Reception.STALLED, Reception.LOST)


class Health(enum.Enum):
    """How this user's part of a call is: what comes from the others, and what they say that comes from here."""

    OK = "ok"
    """All that is to come comes."""
    DEGRADED = "degraded"
    """Something does not come, from some user or to some user."""
    LOST = "lost"
    """No user is connected any more; the call may come back."""


class EndReason(enum.Enum):
    """Why a call, or one user's part of it, ended."""

    HUNG_UP = "hung_up"
    """This side hung up."""
    REMOTE_HUNG_UP = "remote_hung_up"
    """The other side hung up after it was accepted."""
    CANCELLED = "cancelled"
    """The caller hung up before this side accepted."""
    DECLINED = "declined"
    """This side rejected the call."""
    REJECTED = "rejected"
    """The other side rejected the call."""
    BUSY = "busy"
    """The other side is in another call."""
    NO_ANSWER = "no_answer"
    """The other side did not answer within the answer interval."""
    MISSED = "missed"
    """This side did not answer within the answer interval."""
    ELSEWHERE = "elsewhere"
    """Another device of this user accepted or rejected it."""
    MEDIA_FAILED = "media_failed"
    """Accepted, but media could not be established."""
    DISCONNECT_TIMEOUT = "disconnect_timeout"
    """Was connected, then lost for the whole disconnect interval."""
    SECURITY = "security"
    """Was connected and lost, and another device than the one that took part wanted to go on, with other keys."""


class DeclineReason(enum.Enum):
    """Why a call is rejected, as far as the dialect can say it."""

    DECLINED = "declined"
    """The user, or the application, does not want it."""
    BUSY = "busy"
    """In another call."""
    UNSUPPORTED = "unsupported"
    """The offered media cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHead:
    """What every participant knows of a call."""

    call: CallId
    caller: User
    """Who started the call, also in signals between two callees."""
    callees: tuple[User, ...]
    """Everybody who was called, without the caller; the same list at all participants."""
    media: CallMedia

    @property
    def members(self) -> tuple[User, ...]:
        """All participants, the caller first."""
        return (self.caller, *self.callees)


@dataclass(frozen=True, slots=True)
class Description:
    """One side's media and transport: an SDP (RFC 8866), lines ended by LF or CR LF."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One ICE candidate (RFC 8839), with the media section it belongs to."""

    candidate: str
    """`candidate:…`, without `a=`."""
    mid: str | None = None
    """Identification tag of the section, as in `a=mid` (RFC 5888)."""
    line: int | None = None
    """Index of the section, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What came of one kind of media over one peer connection."""

    packets: int = 0
    """RTP packets."""
    frames: int = 0
    """Frames that came out of them (audio: blocks of samples)."""
    reports: int = 0
    """Sender reports (RFC 3550, section 6.4.1)."""
    announced: int = 0
    """Packets that the sender sent, as its latest report says."""
    ended: bool = False
    """The sender said that it sends no more (RTCP BYE: RFC 3550, section 6.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStats:
    """One kind of media in one direction, since the user was first connected. None: not known."""

    bitrate: float | None = None
    """Bits per second, over the time since the report before."""
    packets: int | None = None
    bytes: int | None = None
    packets_lost: int | None = None
    """RTP packets lost (RFC 3550, section 6.4.1); for what we send: as the receiver reports."""
    loss: float | None = None
    """Part of the packets that was lost, 0 to 1, since the report before; sent: as the receiver last said."""
    jitter: float | None = None
    """Seconds (RFC 3550, section 6.4.1)."""
    codec: str | None = None
    """E.g. `VP8` or `opus`."""
    frames: int | None = None
    """Frames sent or received (audio: blocks of samples)."""
    frames_decoded: int | None = None
    """How many of the received ones were decoded: not those that nobody wanted. None for what is sent."""
    frames_dropped: int | None = None
    """Received: the machine was too slow, or what they build on was missing. Sent: left out for this peer."""
    frames_concealed: int | None = None
    """Blocks of sound that were made up for lost ones."""
    freezes: int | None = None
    """How often the received picture stood still (W3C webrtc-stats: freezeCount); None: it was never decoded."""
    freeze_seconds: float | None = None
    """How long, all together (W3C: totalFreezesDuration)."""
    nacks: int | None = None
    """Requests to repeat packets (RFC 4585, section 6.2.1) that the receiver sent, or the sender got."""
    plis: int | None = None
    """Requests for a complete picture (RFC 4585, section 6.3.1) that the receiver sent, or the sender got."""
    fps: float | None = None
    """Frames per second, over the time since the report before."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    audio_level: float | None = None
    """Root mean square of the last block, 0 (silence) to 1 (full scale)."""
    delay: float | None = None
    """Seconds from drawing to decoding of received pictures: of the source `test` on this machine only."""
    mos: float | None = None
    """Estimate of how sound is judged, 1 (bad) to 4.5, over the time since the report before: `core.emodel`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsReport:
    """The measured state of the connection to one user (QuickBlox: QBRTCStatsReport)."""

    round_trip: float | None = None
    """Seconds."""
    local_candidate: str | None = None
    """Type of the local candidate in use: `host`, `srflx`, `prflx` or `relay`."""
    remote_candidate: str | None = None
    """Type of the remote candidate in use."""
    sent: Mapping[MediaKind, StreamStats] = field(default_factory=dict)
    received: Mapping[MediaKind, StreamStats] = field(default_factory=dict)

    @property
    def relayed(self) -> bool | None:
        """Whether media goes through a TURN server; None: there is no path yet."""
        known = [type for type in (self.local_candidate, self.remote_candidate) if type is not None]
        return "relay" in known if known else None

    def w3c(self, timestamp: float | None = None) -> dict[str, dict[str, object]]:
        """The report under the names of the W3C's webrtc-stats: by id, dictionaries with `type`, `kind` and so on.

        Args:
            timestamp: when, in milliseconds since the epoch; without it the entries have none.
        """
        return webrtc_stats(self, timestamp)

    @property
    def summary(self) -> str:
        """The report on one line, for people."""
        path = {True: " relayed", False: " direct", None: ""}[self.relayed]
        parts = [f"rtt {_show(self.round_trip, 1e3)} ms{path}"]
        for arrow, streams in (("out", self.sent), ("in", self.received)):
            for kind, stream in streams.items():
                size = f" {stream.width}x{stream.height}" if stream.width else ""
                parts.append(
                    f"{arrow} {kind.value} {stream.codec or '?'}{size}"
                    f" {_show(stream.fps)} fps {_show(stream.bitrate, 1e-3)} kbit/s"
                    f" lost {stream.packets_lost if stream.packets_lost is not None else '-'}"
                    f" jitter {_show(stream.jitter, 1e3)} ms"
                    + ("" if stream.mos is None else f" mos {stream.mos:.1f}")
                )
        return " | ".join(parts)


def _show(value: float | None, scale: float = 1.0) -> str:
    return "-" if value is None else f"{value * scale:.0f}"
