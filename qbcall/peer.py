"""One other user of a call, as the application sees it: folded from events, with what is received."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import av

from qbcall.core import events as ev
from qbcall.core.model import CallId, EndReason, Info, MediaKind, PeerState, StatsReport, User
from qbcall.media.frames import Frame
from qbcall.media.incoming import Incoming

TRACK_EVENTS = {MediaKind.AUDIO: ev.AudioTrackAdded, MediaKind.VIDEO: ev.VideoTrackAdded}


@dataclass
class Peer:
    """One other user of a call."""

    user: User
    state: PeerState = PeerState.NEW
    end_reason: EndReason | None = None
    """Why it ended; None while it has not."""
    detail: str = ""
    """For people: what is known about a failure."""
    info: Info = field(default_factory=dict)
    """What the user said last, with an accept, reject or hang-up."""
    accepted_at: float | None = None
    """When offer and answer were first exchanged, seconds on the event loop's clock."""
    connected_at: float | None = None
    """When media was first connected, seconds on the event loop's clock."""
    closed_at: float | None = None
    """When it ended, seconds on the event loop's clock."""
    joined: bool = False
    """Whether the user takes part now."""
    data: str = ""
    """What the user says about itself, fixed for the call."""
    stats: StatsReport | None = None
    """The latest measurement; the last one stays after the end."""
    wake: Callable[[], None] = lambda: None
    """Told when somebody begins to want what is received."""
    _incoming: dict[MediaKind, Incoming] = field(default_factory=dict)
    _tracks: list[MediaKind] = field(default_factory=list)

    @property
    def audio(self) -> Incoming | None:
        """What is heard from the user; None while nothing is. Goes on through reconnections."""
        return self._incoming[MediaKind.AUDIO] if MediaKind.AUDIO in self._tracks else None

    @property
    def video(self) -> Incoming | None:
        """What is seen from the user; None while nothing is. Goes on through reconnections."""
        return self._incoming[MediaKind.VIDEO] if MediaKind.VIDEO in self._tracks else None

    @property
    def tracks(self) -> Collection[MediaKind]:
        """The kinds of media that come in."""
        return tuple(self._tracks)

    def received(self, frame: Frame) -> Incoming:
        """Where a frame belongs, even before its track is announced."""
        return self._of(MediaKind.VIDEO if isinstance(frame, av.VideoFrame) else MediaKind.AUDIO)

    def passed(self, kind: MediaKind) -> None:
        """A frame came that nobody wanted."""
        self._of(kind).pass_by()

    def wants(self, kind: MediaKind) -> bool:
        """Whether the application looks or listens."""
        return kind in self._incoming and self._incoming[kind].wanted

    def fold(self, event: ev.PeerEvent, now: float) -> None:
        """Take over what an event says."""
        match event:
            case ev.PeerStateChanged():
                self._fold_state(event, now)
            case ev.PeerAccepted() | ev.PeerRejected() | ev.PeerHungUp():
                self.info = event.info
            case ev.ParticipantJoined():
                self.joined, self.data = True, event.data
            case ev.ParticipantLeft():
                self.joined = False
            case ev.TrackAdded():
                self._of(event.kind)
                self._tracks.append(event.kind)
            case ev.Stats():
                self.stats = event.report

    def present(self, call: CallId) -> Iterator[ev.PeerEvent]:
        """The present state, told as events."""
        fields = {"call": call, "peer": self.user, "old": PeerState.NEW, "new": self.state, "detail": self.detail}
        if self.state is PeerState.CLOSED:
            yield ev.PeerClosed(**fields, reason=self.end_reason)  # type: ignore[arg-type]  # one table of fields
        elif self.state is not PeerState.NEW:
            yield ev.STATE_EVENTS.get(self.state, ev.PeerStateChanged)(**fields)  # type: ignore[arg-type]  # as above
        if self.joined:
            yield ev.ParticipantJoined(call=call, peer=self.user, data=self.data)
        for kind in self._tracks:
            yield TRACK_EVENTS[kind](call=call, peer=self.user)

    def close(self) -> None:
        """Nothing more is received."""
        for incoming in self._incoming.values():
            incoming.close()

    def _fold_state(self, event: ev.PeerStateChanged, now: float) -> None:
        self.state = event.new
        self.detail = event.detail or self.detail
        match event:
            case ev.PeerConnecting() if self.accepted_at is None:
                self.accepted_at = now
            case ev.PeerConnected() if self.connected_at is None:
                self.connected_at = now
            case ev.PeerClosed():
                self.closed_at = now
                self.end_reason = event.reason

    def _of(self, kind: MediaKind) -> Incoming:
        if kind not in self._incoming:
            self._incoming[kind] = Incoming(kind, self.wake)
        return self._incoming[kind]
