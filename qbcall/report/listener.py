"""Listens to a call and keeps what its report tells."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av

import qbcall
from qbcall.call import Call
from qbcall.core import events as ev
from qbcall.core.measurement import with_rates
from qbcall.core.model import CallState, MediaKind, PeerState, StatsReport
from qbcall.peer import Peer
from qbcall.report.document import Change, Document, Happening, PeerPart, Picture, Sample, to_json
from qbcall.report.files import ending, write
from qbcall.report.page import page
from qbcall.report.thinning import Thinned
from qbcall.report.thumbnails import thumbnail

MOST_SAMPLES = 1200
"""Of each user; when there are as many, every other one goes: 20 minutes at one a second, then one in two seconds."""
MOST_PICTURES = 60
"""Of each user, in the same way."""
MOST_EVENTS = 500
"""Of a call; the first ones are kept."""
MOST_CHANGES = 500
"""Of each thing that has states; the first ones and the newest are kept."""
MOST_TEXT = 300
"""Characters of each thing that an event says: others write them."""
UNTOLD = (ev.Stats, ev.Signal, ev.SignalSent, ev.SignalDelivered, ev.SignalNotSent)
"""Samples say the first better; what applications say to each other is not the report's business."""


class _Changes:
    """The states of one thing: those who are in the call decide how often they change."""

    def __init__(self) -> None:
        self.left_out = 0
        self._kept: list[Change] = []

    def add(self, change: Change) -> None:
        """Keep this one, at the limit in place of the one before: how it ended is always known."""
        if len(self._kept) >= MOST_CHANGES:
            self._kept.pop()
            self.left_out += 1
        self._kept.append(change)

    def __iter__(self) -> Iterator[Change]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


@dataclass
class _Noted:
    """What is kept of one user."""

    samples: Thinned[StatsReport]
    pictures: Thinned[Picture]
    states: _Changes = field(default_factory=_Changes)
    received: dict[MediaKind, _Changes] = field(default_factory=dict)


class CallReport:
    """The report of one call: make it as soon as there is the call, and write it at any time.

    Samples and small pictures are taken on the event loop until the call is over. No frame is decoded for it: there
    are pictures of those users only whom somebody looks at.
    """

    def __init__(self, call: Call, *, interval: float = 1.0, picture_interval: float = 5.0) -> None:
        """Begin to listen; on the event loop of the call's client.

        Args:
            call: any one; what was before is known as far as the call tells it.
            interval: seconds between two samples, above 0.
            picture_interval: seconds between two pictures of a user, at least `interval`.
        """
        self._call = call
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._started = datetime.now(UTC) - timedelta(seconds=self._loop.time() - call.created_at)
        self._states = _Changes()
        self._health = _Changes()
        self._events: list[Happening] = []
        self._left_out = 0
        slack = interval / 2  # timers are never exact
        self._peers = {
            user: _Noted(
                Thinned(interval, MOST_SAMPLES, slack=slack), Thinned(picture_interval, MOST_PICTURES, slack=slack)
            )
            for user in call.peers
        }
        self._timer: asyncio.TimerHandle | None = None
        call.listen(self._note)
        self._tick()

    def document(self) -> Document:
        """What is known now."""
        call = self._call
        return Document(
            qbcall=qbcall.__version__,
            call=call.id,
            me=call.me,
            caller=call.caller,
            callees=call.head.callees,
            media=call.media,
            started=self._started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration=round((call.closed_at or self._loop.time()) - call.created_at, 3),
            connected_at=self._since(call.connected_at),
            end_reason=call.end_reason,
            states=tuple(self._states),
            health=tuple(self._health),
            peers=tuple(self._part(peer, self._peers[user]) for user, peer in call.peers.items()),
            events=tuple(self._events),
            events_left_out=self._left_out,
            changes_left_out=sum(changes.left_out for changes in self._all_changes()),
        )

    def html(self) -> str:
        """One page that needs nothing else."""
        return page(self.document())

    def json(self) -> str:
        """The `Document` as JSON; `qbcall schema --report` describes it."""
        return to_json(self.document())

    def write(self, path: str | Path) -> None:
        """Write a file, HTML or JSON by the ending of its name; see `write_document`."""
        write_document(self.document(), path)

    # -- listening ---------------------------------------------------------------------------------------------------

    def _note(self, event: ev.CallEvent) -> None:
        at = self._now()
        match event:
            case ev.CallStateChanged():
                self._states.add(Change(at=at, state=event.new.value))
                if event.new is CallState.CONNECTED and not self._health:
                    self._health.add(Change(at=at, state=self._call.health.value))
            case ev.HealthChanged():
                self._health.add(Change(at=at, state=event.new.value))
            case ev.PeerStateChanged():
                change = Change(at=at, state=event.new.name.lower(), detail=event.detail[:MOST_TEXT])
                self._peers[event.peer].states.add(change)
            case ev.DirectionChanged():
                kinds = self._peers[event.peer].received
                kinds.setdefault(event.kind, _Changes()).add(Change(at=at, state=event.new.value))
            case ev.CallClosed() if self._timer is not None:
                self._timer.cancel()
        if isinstance(event, UNTOLD):
            return
        if len(self._events) < MOST_EVENTS:
            self._events.append(_happening(event, at))
        else:
            self._left_out += 1

    def _tick(self) -> None:
        if self._call.end_reason is not None:
            return
        self._timer = self._loop.call_later(self._interval, self._tick)
        for user, report in self._call.stats().items():
            peer, noted = self._call.peers[user], self._peers[user]
            if peer.connected_at is not None and peer.state is not PeerState.CLOSED:
                self._sample(peer, noted, report)

    def _sample(self, peer: Peer, noted: _Noted, report: StatsReport) -> None:
        now = self._now()
        if noted.samples.is_due(now):
            noted.samples.add(now, report)
        frame = peer.video.newest if peer.video and noted.pictures.is_due(now) else None
        if isinstance(frame, av.VideoFrame) and (picture := thumbnail(frame, now)) is not None:
            noted.pictures.add(now, picture)

    # -- details -----------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return round(self._loop.time() - self._call.created_at, 3)

    def _since(self, time: float | None) -> float | None:
        return None if time is None else round(time - self._call.created_at, 3)

    def _all_changes(self) -> Iterator[_Changes]:
        yield from (self._states, self._health)
        for noted in self._peers.values():
            yield from (noted.states, *noted.received.values())

    def _part(self, peer: Peer, noted: _Noted) -> PeerPart:
        return PeerPart(
            user=peer.user,
            end_reason=peer.end_reason,
            accepted_at=self._since(peer.accepted_at),
            connected_at=self._since(peer.connected_at),
            states=tuple(noted.states),
            received={kind: tuple(changes) for kind, changes in noted.received.items()},
            total=self._call.stats().get(peer.user),
            samples=tuple(_rated(noted.samples)),
            pictures=tuple(picture for _, picture in noted.pictures),
        )


def write_document(document: Document, path: str | Path) -> None:
    """Write a file, HTML or JSON by the ending of its name.

    That takes up to a second for a long call: beside other calls do it in a thread.

    Raises:
        InvalidArgument: the name ends neither in `.html` nor in `.json`.
        SinkError: it cannot be written.
    """
    path = Path(path)
    write(path, to_json(document) if ending(path) == "json" else page(document))


def _rated(samples: Thinned[StatsReport]) -> Iterator[Sample]:
    """The samples, with rates over the time since the one before that was kept."""
    before: tuple[float, StatsReport] | None = None
    for at, report in samples:
        yield Sample(at=at, report=report if before is None else with_rates(report, before[1], at - before[0]))
        before = at, report


def _happening(event: ev.CallEvent, at: float) -> Happening:
    named = {one.name: getattr(event, one.name) for one in fields(event)}
    peer = named.pop("peer", None)
    del named["call"]
    told = {name: _words(value) for name, value in named.items() if value not in ("", None, {}, ())}
    return Happening(at=at, event=type(event).__name__, peer=peer, fields=told)


def _words(value: object) -> str:
    """As people read it, and not too long."""
    match value:
        case PeerState():
            text = value.name.lower()
        case enum.Enum():
            text = str(value.value)
        case dict():
            text = ", ".join(f"{key}={one}" for key, one in value.items())
        case tuple():
            text = ", ".join(map(str, value))
        case _:
            text = str(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"
