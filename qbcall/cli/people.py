"""What people read while calls go on: a sentence for an event, a status line for the present."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rich.markup import escape

from qbcall.core import events as ev
from qbcall.core.model import CallState, Info, MediaKind, PeerState, Reception

if TYPE_CHECKING:
    from qbcall.call import Call
    from qbcall.client import Client

E = TypeVar("E", bound=ev.Event)
_SENTENCES: dict[type[ev.Event], Callable[[ev.Event], str | None]] = {}


def described(event: ev.Event) -> str | None:
    """A sentence that tells the event; None: people need not know."""
    for kind in type(event).__mro__:
        if kind in _SENTENCES:
            return _SENTENCES[kind](event)
    return None


def status(client: Client) -> str:
    """One line about the present."""
    if not client.device:
        return "logging in ..."
    live = [call for call in client.calls.values() if call.state is not CallState.CLOSED]
    return escape(" | ".join(_status_of(call) for call in live) or f"{client.device}: waiting")


def _status_of(call: Call) -> str:
    parts = []
    for peer in call.peers.values():
        video, audio = peer.video, peer.audio
        frames = f" {video.frames} pictures" if video else ""
        blocks = f" {audio.frames} blocks of sound" if audio else ""
        parts.append(f"{peer.user} {peer.state.name.lower()}{frames}{blocks}")
    faults = [
        f"{sender} -> {receiver} {kind.value} {state.value}"
        for (receiver, sender), states in call.matrix().items()
        for kind, state in states.items()
        if state.bad
    ]
    return f"{call.state.value}: {', '.join(parts + faults)}"


def _sentence(kind: type[E], tell: Callable[[E], str | None]) -> None:
    _SENTENCES[kind] = tell  # type: ignore[assignment]  # looked up by the class of the event


def _with(info: Info) -> str:
    return f" ({', '.join(f'{key}={value}' for key, value in info.items())})" if info else ""


def _received(receiver: str, sender: str, kind: MediaKind, old: Reception, new: Reception) -> str | None:
    """Only what is wrong, and that it is well again."""
    sense = "hear" if kind is MediaKind.AUDIO else "see"
    verb = sense if receiver == "you" else f"{sense}s"
    if new.bad:
        return f"{receiver} {'do' if receiver == 'you' else 'does'} not {sense} {sender} ({new.value})"
    return f"{receiver} {verb} {sender} again" if old.bad and new is Reception.FLOWING else None


_LOUD_STATES = {PeerState.CONNECTING, PeerState.CONNECTED, PeerState.DISCONNECTED, PeerState.FAILED}
"""The others have an event of their own, or tell nothing new."""

_sentence(ev.LinkOnline, lambda event: f"online as {event.device}")
_sentence(ev.LinkReconnecting, lambda event: f"chat lost, connecting again: {event.reason}")
_sentence(ev.LinkReconnected, lambda _: "chat is back")
_sentence(ev.LinkLost, lambda event: f"chat lost for good: {event.error}")
_sentence(
    ev.IncomingCall,
    lambda event: f"{event.caller} calls ({event.media.value}, {len(event.callees) + 1} users){_with(event.info)}",
)
_sentence(ev.CallRefused, lambda event: f"refused a call of {event.caller}: {event.reason.value}")
_sentence(ev.PeerAccepted, lambda event: f"{event.peer} accepted{_with(event.info)}")
_sentence(ev.PeerRejected, lambda event: f"{event.peer} rejected: {event.reason.value}{_with(event.info)}")
_sentence(ev.PeerHungUp, lambda event: f"{event.peer} hung up{_with(event.info)}")
_sentence(ev.PeerNoAnswer, lambda event: f"{event.peer} did not answer")
_sentence(ev.PeerUpdated, lambda event: f"{event.peer} says{_with(event.info)}")
_sentence(
    ev.PeerStateChanged,
    lambda event: (
        f"{event.peer} {event.new.name.lower()}{f': {event.detail}' if event.detail else ''}"
        if event.new in _LOUD_STATES
        else None
    ),
)
_sentence(ev.PeerReconnected, lambda event: f"{event.peer} is back after {event.gap:.1f} s")
_sentence(ev.HealthChanged, lambda event: f"the call is {event.new.value}")
_sentence(
    ev.DirectionChanged,
    lambda event: (
        None  # the state of the connection says it
        if Reception.LOST in (event.old, event.new)
        else _received("you", event.peer, event.kind, event.old, event.new)
    ),
)
_sentence(ev.MatrixChanged, lambda event: _received(event.receiver, event.sender, event.kind, event.old, event.new))
_sentence(ev.ParticipantLeft, lambda event: f"{event.peer} left: {event.reason.value}")
_sentence(ev.Signal, lambda event: f"{event.sender or 'the server'} signals {event.type or 'no type'}: {event.data}")
_sentence(ev.SignalNotSent, lambda event: f"a signal was not sent ({event.code}): {event.detail}")
_sentence(ev.Stats, lambda event: f"{event.peer}: {event.report.summary}")
