"""A call as the application holds it. Its states are folded from events, so that it says what was told last."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Protocol, Self, TypeVar

from qbcall.core import events as ev
from qbcall.core.inputs import AcceptCall, HangUp, Input, RejectCall, SendUpdate, StartCall
from qbcall.core.model import (
    CallHead,
    CallId,
    CallMedia,
    CallState,
    DeclineReason,
    EndReason,
    Health,
    Info,
    MediaKind,
    PeerState,
    Reception,
    StatsReport,
    User,
)
from qbcall.dialects.message_text import check_participant_data
from qbcall.errors import (
    CallFailed,
    InvalidArgument,
    InvalidState,
)
from qbcall.media.frames import Frame, Sink, check_bandwidth
from qbcall.media.outgoing import Local
from qbcall.outcomes import failure_of
from qbcall.pairs import Pair, Pairs
from qbcall.peer import Peer
from qbcall.receiving import Receiving
from qbcall.signaling import Signaling
from qbcall.subscriptions import EventStream, Subscriptions

C = TypeVar("C", bound=ev.CallEvent)
SourceSpec = str | object
"""What is sent: a name such as `test` or `file:PATH` (see `docs/cli.md`), or any object that yields frames."""
SinkSpec = str | Callable[[User, Frame], object]
"""Where received frames go: a name such as `record:DIR`, or a function of user and frame."""


class Owner(Protocol):
    """What a call needs from its client."""

    subscriptions: Subscriptions

    def command(self, what: Input) -> None:
        """Carry out a wish of the user; raises UsageError or LinkDown."""

    def name(self, text: str) -> User:
        """The user that a person means; raises InvalidArgument or TypeError."""

    def check_info(self, info: Info | None) -> Info:
        """The words as they can be sent; raises TypeError or InvalidArgument."""

    async def open_media(
        self, call: Call, source: SourceSpec | None, sinks: Sequence[SinkSpec] | None, mute: Collection[MediaKind]
    ) -> None:
        """Open what this side sends and where received media goes; raises SourceError, SinkError, InvalidArgument."""

    async def replace_source(self, call: Call, source: SourceSpec) -> None:
        """Send something else; raises SourceError, InvalidArgument."""

    def limit(self, call: CallId, peer: User | None, bandwidth: int) -> None:
        """Limit the picture that is sent to a user, or to all."""

    def wake(self, call: CallId, peer: User) -> None:
        """Somebody begins to want what is received from a user."""

    def measure(self, call: CallId, peer: User) -> StatsReport | None:
        """The latest measurement of the connection."""


class Call:
    """One call. Made by `Client.call`, or by an `IncomingCall`."""

    def __init__(self, owner: Owner, head: CallHead, me: User, info: Info, *, now: float) -> None:
        self.head = head
        """Caller, callees and media."""
        self.me = me
        self.info = info
        """What the caller said with the invitation."""
        self.state = CallState.NEW
        self.end_reason: EndReason | None = None
        """Why the call ended; None while it has not."""
        self.peers: Mapping[User, Peer] = {
            user: Peer(user, wake=partial(self._wake, user)) for user in head.members if user != me
        }
        self.created_at = now
        self.accepted_at: float | None = None
        self.connected_at: float | None = None
        self.closed_at: float | None = None
        self._signaling = Signaling(owner)
        self._pairs = Pairs(me)
        self.local: Local | None = None
        """What this side sends; None before media was opened, and after the end."""
        self.receiving = Receiving(self.peers)
        """What takes what is received."""
        self._owner = owner
        self._last_ended: Peer | None = None
        self._streams: list[EventStream[ev.CallEvent]] = []
        self._answering = False
        self._complete = asyncio.Event()

    # -- who and what ------------------------------------------------------------------------------------------------

    @property
    def id(self) -> CallId:
        """Unique name of the call, the same at all participants."""
        return self.head.call

    @property
    def incoming(self) -> bool:
        """Whether somebody else called."""
        return self.head.caller != self.me

    @property
    def caller(self) -> User:
        """Who called."""
        return self.head.caller

    @property
    def media(self) -> CallMedia:
        """Audio, or video with audio."""
        return self.head.media

    def peer(self, user: str) -> Peer:
        """Another user of this call.

        Raises:
            KeyError: the user is not in the call.
        """
        return self.peers[User(user)]

    def peer_state(self, user: str) -> PeerState:
        """State of the connection to a user; UNKNOWN for a user who is not in the call."""
        peer = self.peers.get(User(user))
        return PeerState.UNKNOWN if peer is None else peer.state

    @property
    def health(self) -> Health:
        """How this user's part of the call is; of a call that is over: how it was at last."""
        return self._pairs.health

    def matrix(self) -> Mapping[Pair, Mapping[MediaKind, Reception]]:
        """Who receives what of whom: (receiver, sender) -> state by kind.

        Of this user as it is counted here, of others as they say; those whose clients do not say it are missing.
        """
        return self._pairs.matrix()

    @property
    def sinks(self) -> Sequence[Sink]:
        """Where received media goes."""
        return self.receiving.sinks

    @property
    def sink_errors(self) -> Sequence[Exception]:
        """Why sinks broke; each gets nothing more from then on, and the call goes on."""
        return self.receiving.errors

    def stats(self) -> Mapping[User, StatsReport]:
        """Measurements of the connections, by user; rates are over the time since the last event `Stats`.

        Users with whom there was no connection are missing; of those that are gone the last measurement is told.
        """
        measured = {user: self._owner.measure(self.id, user) or peer.stats for user, peer in self.peers.items()}
        return {user: report for user, report in measured.items() if report is not None}

    # -- wishes ------------------------------------------------------------------------------------------------------

    async def start(self, info: Info | None = None, *, data: str = "") -> None:
        """Dial all callees.

        Args:
            info: what to tell them, text to text; goes with every invitation.
            data: what this user says about itself to all participants, at most 1000 characters.

        Raises:
            InvalidState: the call was started, or is over.
            LinkDown: the chat is not connected.
            TypeError, InvalidArgument: `info` or `data` cannot be sent.
        """
        words = self._owner.check_info(info)
        check_participant_data(data)
        self._owner.command(StartCall(call=self.id, info=words, data=data))
        self.info = words

    async def accept(
        self,
        info: Info | None = None,
        *,
        source: SourceSpec | None = None,
        sinks: Sequence[SinkSpec] | None = None,
        mute: Collection[MediaKind] = (),
        data: str = "",
    ) -> None:
        """Accept an incoming call.

        Args:
            info: what to tell the caller.
            data: what this user says about itself to all participants, at most 1000 characters.
            source: what to send; default: as configured.
            sinks: where received media goes; default: as configured.
            mute: kinds of media that start muted.

        Raises:
            InvalidState: the call is not ringing here.
            SourceError, SinkError: a file, device or program is missing; the call rings on.
        """
        words = self._owner.check_info(info)
        check_participant_data(data)
        if not self.incoming or self.state is not CallState.PENDING or self._answering:
            raise InvalidState(f"accept: not possible for {self._describe()}")
        self._answering = True
        try:
            await self._owner.open_media(self, source, sinks, mute)
            self._owner.command(AcceptCall(call=self.id, info=words, data=data, sends_all=self._sends_all()))
        except BaseException:  # e.g. the caller hung up while the camera was opened
            self._answering = False
            await self.close_media()
            raise

    async def reject(self, info: Info | None = None, *, busy: bool = False) -> None:
        """Reject an incoming call; of a call that is over this is no error.

        Raises:
            InvalidState: the call was made here, or was accepted.
        """
        reason = DeclineReason.BUSY if busy else DeclineReason.DECLINED
        self._owner.command(RejectCall(call=self.id, info=self._owner.check_info(info), reason=reason))

    async def hang_up(self, info: Info | None = None) -> None:
        """Leave the call: cancel, reject or hang up, as its state is. Of a call that is over this is no error."""
        self._owner.command(HangUp(call=self.id, info=self._owner.check_info(info)))

    async def update(self, info: Info, to: str | None = None) -> None:
        """Tell application data to one participant, or to all.

        Raises:
            InvalidState: nobody is in the call yet, or it is over.
            InvalidArgument: `to` is not in the call.
        """
        target = None if to is None else User(to)
        self._owner.command(SendUpdate(call=self.id, info=self._owner.check_info(info), to=target))

    async def signal(
        self,
        type: str = "",
        data: str = "",
        to: str | None = None,
        *,
        retry_after_reconnect: bool = True,
        ack: bool = False,
        ttl: float | None = None,
    ) -> str:
        """Send a typed signal to one participant, or to all, this user included (Vonage: signal).

        Each arrives once, and those of one sender in their order, whatever becomes of the chat links in between. A
        participant whose client does not acknowledge (the QuickBlox SDKs) may miss what the server loses.

        Args:
            type: at most 128 characters of `A-Za-z0-9-_~`; may be empty.
            data: at most 8192 bytes in UTF-8; may be empty.
            to: a participant; None: all.
            retry_after_reconnect: while the chat link is made again: wait for it, or fail at once.
            ack: wait until the participants' applications were told; otherwise until the server has it. Who does not
                acknowledge counts as told once the server has it.
            ttl: seconds after which it fails if that did not happen; it may have been delivered even so.

        Returns:
            The id that the receivers see.

        Raises:
            SignalFailed: with a code: 400 invalid, 404 not in the call, 413 too long, 429 too many at once, 500 not
                connected, or the reconnection failed.
            TypeError: an argument of another type.
        """
        return await self._signaling.send(
            lambda: self.id, type, data, to, retry_after_reconnect=retry_after_reconnect, ack=ack, ttl=ttl
        )

    def mute(self, kind: MediaKind | str, on: bool = True) -> None:
        """Send silence, or a black picture, instead of the source; nothing is negotiated and nobody is told.

        Raises:
            InvalidArgument: `kind` is neither `audio` nor `video`.
            InvalidState: media is not open yet.
        """
        try:
            named = MediaKind(kind)
        except ValueError:
            raise InvalidArgument(f"kind must be audio or video, not {kind!r}") from None
        self._sending().mute(named, on)

    def set_bitrate(self, bandwidth: int, to: str | None = None) -> None:
        """Limit the picture that is sent to one participant, or to all, from now on; nothing is negotiated.

        It concerns the connections that there are (QuickBlox iOS: `setBitrate:` and `setBitrate:forUserID:`); a limit
        for later ones is `media.bandwidth`. A smaller limit of the participant goes on to hold.

        Args:
            bandwidth: kilobit per second; 0: no limit.
            to: one participant.

        Raises:
            InvalidArgument: `bandwidth` is negative or too large, or `to` is not in the call.
        """
        check_bandwidth(bandwidth)
        if to is not None and to not in self.peers:
            raise InvalidArgument(f"to: {to} is not in the call")
        self._owner.limit(self.id, None if to is None else User(to), bandwidth)

    async def replace_source(self, source: SourceSpec) -> None:
        """Send something else from now on; nothing is negotiated.

        Raises:
            SourceError: it cannot be opened; the present one goes on.
            InvalidState: media is not open yet.
        """
        self._sending()
        await self._owner.replace_source(self, source)

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def connected(self, timeout: float | None = None) -> None:
        """Wait until media is connected with at least one user.

        Raises:
            Rejected, Busy, NoAnswer, Cancelled, MediaFailed, CallLost, PeerNotTrusted, CallFailed: the call ended
                before.
            TimeoutError: `timeout` seconds went by.
        """
        if self.state is not CallState.CONNECTED:
            await self.wait_for(
                ev.CallStateChanged,
                timeout=timeout,
                where=lambda event: event.new in (CallState.CONNECTED, CallState.CLOSED),
            )
        if self.connected_at is None:
            raise self.failure()

    async def ended(self) -> EndReason:
        """Wait until the call is over and everything received is written."""
        await self._complete.wait()
        assert self.end_reason is not None, "set before complete"
        return self.end_reason

    def failure(self) -> CallFailed:
        """The end of the call as an error; an application that awaits an outcome gets it raised.

        Raises:
            InvalidState: the call is not over.
        """
        if self.end_reason is None:
            raise InvalidState(f"failure: {self._describe()} is not over")
        return failure_of(self.end_reason, self._last_ended)

    def events(self) -> EventStream[ev.CallEvent]:
        """The events of this call: first the present state, as events, then what follows; ends with `CallClosed`."""
        stream = self._owner.subscriptions.stream(ev.CallEvent, where=lambda event: event.call == self.id)
        for event in self._present():
            stream.put(event)
        if self.end_reason is None:
            self._streams.append(stream)
        else:
            self._owner.subscriptions.end(stream)
        return stream

    def listen(self, handler: Callable[[ev.CallEvent], None]) -> None:
        """Call a function with the events of this call as they happen; first with the present state, as `events`."""
        subscriptions = self._owner.subscriptions

        def tell(event: ev.CallEvent) -> None:
            handler(event)
            if isinstance(event, ev.CallClosed):
                subscriptions.off(tell)

        for event in self._present():
            handler(event)
        if self.end_reason is None:
            subscriptions.on(ev.CallEvent, tell, where=lambda event: event.call == self.id)

    async def wait_for(
        self, event_class: type[C], *, timeout: float | None = None, where: Callable[[C], bool] | None = None
    ) -> C:
        """Wait for an event of this call; the present state counts, as in `events`.

        Raises:
            TimeoutError: `timeout` seconds went by.
            CallFailed: the call ended, and the event did not come.
        """
        stream = self.events()
        try:
            async with asyncio.timeout(timeout):
                async for event in stream:
                    if isinstance(event, event_class) and (where is None or where(event)):
                        return event
        finally:
            self._end(stream)
        raise self.failure()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(InvalidState):  # the client was left, and hung up
            await self.hang_up()
        await self.ended()

    # -- told by the client ------------------------------------------------------------------------------------------

    def fold(self, event: ev.CallEvent, now: float) -> None:
        """Take over what an event says, before the application hears it."""
        self._pairs.fold(event)
        match event:
            case ev.IncomingCall():
                self.state = CallState.PENDING
            case ev.CallMerged():
                self.head = CallHead(
                    call=event.call, caller=self.head.callees[0], callees=(self.me,), media=self.head.media
                )
            case ev.CallStateChanged(new=new):
                self.state = new
                self._stamp(new, now)
            case ev.CallClosed():
                self.end_reason = event.reason
            case ev.SignalSent() | ev.SignalDelivered() | ev.SignalNotSent():
                self._signaling.fold(event)
            case ev.PeerEvent():
                peer = self.peers[event.peer]
                peer.fold(event, now)
                if isinstance(event, ev.PeerClosed):
                    peer.stats = self._owner.measure(self.id, peer.user) or peer.stats
                    self._last_ended = peer

    async def wind_up(self) -> None:
        """The call is over: finish files, let go of devices, wake whoever waits for the end."""
        await self.close_media()
        for peer in self.peers.values():
            peer.close()
        self._complete.set()

    async def close_media(self) -> None:
        """Let go of what `open_media` opened."""
        await self.receiving.close()
        if self.local is not None:
            local, self.local = self.local, None
            await local.close()

    def end_streams(self) -> None:
        """The last event of the call was told."""
        for stream in tuple(self._streams):
            self._end(stream)

    # -- details -----------------------------------------------------------------------------------------------------

    def _wake(self, user: User) -> None:
        self._owner.wake(self.id, user)

    def _end(self, stream: EventStream[ev.CallEvent]) -> None:
        self._owner.subscriptions.end(stream)
        if stream in self._streams:
            self._streams.remove(stream)

    def _stamp(self, new: CallState, now: float) -> None:
        match new:
            case CallState.CONNECTING:
                self.accepted_at = now
            case CallState.CONNECTED:
                self.connected_at = now
            case CallState.CLOSED:
                self.closed_at = now

    def _present(self) -> list[ev.CallEvent]:
        """The present state, told as events."""
        some: list[ev.CallEvent] = []
        if self.state is not CallState.NEW:
            some.append(ev.CallStateChanged(call=self.id, old=CallState.NEW, new=self.state))
        for peer in self.peers.values():
            some.extend(peer.present(self.id))
        some.extend(self._pairs.present(self.id))
        if self.end_reason is not None:
            some.append(ev.CallClosed(call=self.id, reason=self.end_reason))
        return some

    def _sending(self) -> Local:
        if self.local is None or self.state is CallState.CLOSED:
            raise InvalidState(f"media: not open in {self._describe()}")
        return self.local

    def _sends_all(self) -> bool:
        return all(self._sending().stream(kind) is not None for kind in self.media.kinds)

    def _describe(self) -> str:
        return f"{'an incoming' if self.incoming else 'an outgoing'} call that is {self.state.value}"
