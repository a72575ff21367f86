"""What must hold in every world, whatever happens: checked at each effect of each engine."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import fields

from qbcall.core import events as ev
from qbcall.core.effects import (
    AcceptOffer,
    CloseMedia,
    CreateOffer,
    DialLink,
    Drop,
    DropLink,
    Effect,
    Emit,
    MediaEffect,
    ReleaseCall,
    Transmit,
)
from qbcall.core.model import (
    CallId,
    CallState,
    Epoch,
    Health,
    MediaKind,
    PeerState,
    Reception,
    ReconnectionState,
    User,
)

ORDER = list(CallState)


def show(event: ev.Event) -> str:
    """An event on one line: class, then the values that tell, e.g. `PeerClosed B NO_ANSWER>CLOSED NO_ANSWER`."""
    parts = [type(event).__name__]
    if isinstance(event, ev.PeerEvent):
        parts.append(event.peer)
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in {"call", "peer", "detail", "new", "report"} or value in ((), {}, "") or value is False:
            continue
        match value:
            case True:
                parts.append(field.name)
            case enum.Enum() if field.name == "old":
                parts.append(f"{value.name}>{getattr(event, 'new').name}")  # noqa: B009 - only some events have it
            case enum.Enum():
                parts.append(value.name)
            case Mapping():
                parts.extend(f"{key}={text}" for key, text in value.items())
            case tuple():
                parts.append(",".join(value))
            case float():
                parts.append(f"{value:g}")
            case _:
                parts.append(str(value))
    return " ".join(parts)


class Watch:
    """Watches over one engine."""

    def __init__(self) -> None:
        self.media: dict[tuple[CallId, User], list[Epoch]] = {}
        """Peer connections that are open."""
        self.closed: set[CallId] = set()
        self._calls: dict[CallId, CallState] = {}
        self._peers: dict[tuple[CallId, User], PeerState] = {}
        self._lost: dict[tuple[CallId, User], ReconnectionState] = {}
        self._epochs: dict[tuple[CallId, User], Epoch] = {}
        self._health: dict[CallId, Health] = {}
        self._cells: dict[tuple[CallId, str, User, MediaKind], Reception] = {}
        """What becomes of media: call, receiver (empty: this user), sender, kind."""
        self._gone: set[tuple[CallId, User]] = set()
        self._once: set[object] = set()
        self._there: set[tuple[CallId, User]] = set()

    @property
    def calls_left(self) -> set[CallId]:
        """Calls that were told of and did not end."""
        return self._calls.keys() - self.closed

    def see(self, effect: Effect, *, online: bool) -> None:
        """Check one effect. `online`: whether the engine was told that it has a chat link."""
        match effect:
            case Emit():
                self.see_event(effect.event)
            case Transmit():
                assert online, f"sent without a link: {effect}"
                assert effect.signal.call == effect.head.call, effect
            case MediaEffect():
                self._media(effect)
            case ReleaseCall():
                assert effect.call in self.closed, "released before it was closed"
                self._only_once("released", effect.call)
            case DialLink() | DropLink() | Drop():
                pass

    def _media(self, effect: MediaEffect) -> None:
        key = effect.call, effect.peer
        if isinstance(effect, (CreateOffer, AcceptOffer)):
            assert len(self.media.get(key, ())) < 2, f"a third one is opened: {effect}"
            assert effect.epoch > self._epochs.get(key, 0), f"epoch used twice: {effect}"
            self.media.setdefault(key, []).append(effect.epoch)
            self._epochs[key] = effect.epoch
        else:
            assert effect.epoch in self.media.get(key, ()), f"not open: {effect}"
        if isinstance(effect, CloseMedia):
            self.media[key].remove(effect.epoch)
            if not self.media[key]:
                del self.media[key]

    def see_event(self, event: ev.Event) -> None:
        """Check one event."""
        if not isinstance(event, ev.CallEvent):
            return
        assert event.call not in self.closed, f"after the end: {event}"
        if isinstance(event, ev.DirectionChanged | ev.HealthChanged | ev.MatrixChanged):
            self._reception(event)
            return
        match event:
            case ev.IncomingCall():
                self._only_once("rang", event.call)
                self._calls[event.call] = CallState.PENDING
            case ev.CallMerged():
                self._merged(event)
            case ev.CallStateChanged():
                assert event.old is self._calls.get(event.call, CallState.NEW), event
                assert ORDER.index(event.new) > ORDER.index(event.old), f"backwards: {event}"
                self._calls[event.call] = event.new
            case ev.CallClosed():
                self._close(event.call)
            case ev.PeerEvent():
                self._peer(event)
            case ev.CallRefused():
                self._only_once("refused", event.call)
            case ev.Signal() | ev.SignalSent() | ev.SignalDelivered() | ev.SignalNotSent():
                self._only_once(type(event), event.call, getattr(event, "sender", None), event.id)
            case _:
                raise AssertionError(f"unknown: {event}")

    def _reception(self, event: ev.DirectionChanged | ev.HealthChanged | ev.MatrixChanged) -> None:
        match event:
            case ev.DirectionChanged(call=call, peer=peer, kind=kind, old=old, new=new):
                assert self._peers[call, peer] is not PeerState.CLOSED, f"after the end: {event}"
                assert old is self._cells.get((call, "", peer, kind), Reception.IDLE) is not new, event
                self._cells[call, "", peer, kind] = new
            case ev.HealthChanged(call=call, old=old, new=new):
                assert old is self._health.get(call, Health.OK) is not new, event
                self._health[call] = new
            case ev.MatrixChanged():
                cell = event.call, event.receiver, event.sender, event.kind
                gone = {user for call, user in self._gone if call == event.call}
                assert not gone & {event.receiver, event.sender}, event
                assert event.receiver != event.sender
                assert event.old is self._cells.get(cell, Reception.IDLE) is not event.new, event
                self._cells[cell] = event.new

    def _close(self, call: CallId) -> None:
        assert self._calls[call] is CallState.CLOSED, "closed before its state is"
        states = {state for (of, _), state in self._peers.items() if of == call}
        assert states <= {PeerState.CLOSED}, "closed before all its peers"
        self.closed.add(call)

    def _merged(self, event: ev.CallMerged) -> None:
        self.closed.add(event.was)
        self._calls[event.call] = self._calls.pop(event.was)
        for call, user in list(self._peers):
            if call == event.was:
                self._peers[event.call, user] = self._peers.pop((call, user))

    def _peer(self, event: ev.PeerEvent) -> None:
        key = event.call, event.peer
        state = self._peers.get(key, PeerState.NEW)
        if isinstance(event, ev.ParticipantLeft):
            assert state is PeerState.CLOSED, "left before the connection is closed"
            self._only_once("left", key)
            self._there.remove(key)
            self._gone.add(key)
            self._cells = {cell: state for cell, state in self._cells.items() if event.peer not in cell}
            return
        assert state is not PeerState.CLOSED, f"after the end: {event}"
        match event:
            case ev.PeerStateChanged():
                assert event.old is state, f"{state}: {event}"
                assert event.new not in {state, PeerState.COUNT, PeerState.UNKNOWN, PeerState.NEW}, event
                if event.new is PeerState.CONNECTED:
                    assert state in {
                        PeerState.CONNECTING,
                        PeerState.CHECKING,
                        PeerState.DISCONNECTED,
                        PeerState.FAILED,
                    }, event
                self._peers[key] = event.new
            case ev.ReconnectionChanged():
                began = self._lost.get(key) is ReconnectionState.RECONNECTING
                assert began is not isinstance(event, ev.PeerReconnecting), f"out of turn: {event}"
                now = ReconnectionState.STABLE if began else ReconnectionState.RECONNECTING
                self._lost[key] = now
            case ev.ParticipantJoined():
                self._only_once("joined", key)
                self._there.add(key)
            case ev.TrackAdded():
                self._only_once("track", key, event.kind)
            case ev.PeerAccepted() | ev.PeerRejected() | ev.PeerHungUp() | ev.PeerNoAnswer():
                self._only_once(type(event), key)
            case _:
                pass

    def _only_once(self, *what: object) -> None:
        assert what not in self._once, f"twice: {what}"
        self._once.add(what)
