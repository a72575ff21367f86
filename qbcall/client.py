"""The client: logs in, calls, is called."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from qbcall.adapters.ports import ChatLink
from qbcall.adapters.rtc import IceServer, RtcMedia
from qbcall.adapters.rtc_receive import check_sink
from qbcall.adapters.xmpp import XmppLink
from qbcall.call import Call, SinkSpec, SourceSpec
from qbcall.config import Config
from qbcall.core import events as ev
from qbcall.core.engine import Engine
from qbcall.core.events import Signal
from qbcall.core.inputs import CreateCall, GoOffline, GoOnline, Input, Post
from qbcall.core.link import LinkState
from qbcall.core.model import CallHead, CallId, CallMedia, Info, MediaKind, StatsReport, User
from qbcall.core.policy import Policy
from qbcall.dialects import Dialect
from qbcall.dialects.message_text import check_participant_data
from qbcall.dialects.quickblox import QuickBlox
from qbcall.dialects.xml import check_info
from qbcall.driver import Driver
from qbcall.errors import InvalidState, LinkDown
from qbcall.media.frames import Sink
from qbcall.media.outgoing import Local
from qbcall.media.sinks import open_sink
from qbcall.media.sources import open_source
from qbcall.subscriptions import EventStream, Handler, Subscriptions

log = logging.getLogger("qbcall.client")

E = TypeVar("E", bound=ev.Event)
LinkFactory = Callable[[User, Post], ChatLink]
"""Makes the chat link of a user; facts go to `Post`. Default: XMPP."""

REMEMBERED_CALLS = 64
"""Calls that are over and stay in `Client.calls`, so that a handler can still look them up."""


class Client:
    """One account, online from `async with` on.

    Handlers and iterators see every event; see `qbcall.core.events`. Errors that handlers raised are logged, and
    raised together as an `ExceptionGroup` when the client is left.
    """

    def __init__(self, config: Config, *, link: LinkFactory | None = None) -> None:
        """Make a client; nothing is sent before it is entered.

        Args:
            config: account, limits, ICE servers and default media.
            link: another chat link than XMPP, e.g. that of a `MemoryHub`.

        Raises:
            ConfigError: the account has no JID.
        """
        self.config = config
        self.user = User(config.jid)
        """This user's bare JID."""
        self.device = ""
        """Full JID of this client; empty before it was online."""
        self.calls: Mapping[CallId, Call] = {}
        """Live calls, and the last ones that ended."""
        self.subscriptions = Subscriptions()
        self._calls: dict[CallId, Call] = {}
        self.calls = self._calls
        self._dialect: Dialect = QuickBlox(self.user)
        self._link_factory = link or self._xmpp
        self._policy = config.policy()
        self._driver: Driver | None = None
        self._link: ChatLink | None = None
        self._media: RtcMedia | None = None
        self._winding_up: set[asyncio.Task[None]] = set()

    # -- online and offline ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Log in.

        Raises:
            InvalidState: the client was entered before.
            AuthError, ServerUnreachable, InsecureLink: the login failed.
        """
        if self._driver is not None:
            raise InvalidState("a client can be entered once; make another one")
        engine = Engine(self.user, self._policy, leads=self._dialect.leads, jitter=random.random)
        self._driver = Driver(engine, self._publish)
        self._link = self._link_factory(self.user, self._driver.post)
        self._media = RtcMedia(self._driver.post, self.config.ice_settings(), bandwidth=self.config.media.bandwidth)
        self._driver.connect(self._link, self._media)
        try:
            await self._go_online()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up all calls, finish their files, log out."""
        await self._close()
        if self.subscriptions.errors and error is None:
            raise ExceptionGroup("handlers of the client raised", self.subscriptions.errors)

    @property
    def policy(self) -> Policy:
        """Durations and limits of calls created from now on; set another one with `dataclasses.replace`."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._policy = policy
        if self._driver is not None:
            self._driver.engine.policy = policy

    @property
    def online(self) -> bool:
        """Whether the chat is connected now."""
        return self._driver is not None and self._driver.engine.link.online

    @property
    def link_state(self) -> LinkState:
        """The state of the connection to the chat server, now."""
        return LinkState.OFFLINE if self._driver is None else self._driver.engine.link.region.state

    @property
    def link(self) -> ChatLink | None:
        """The chat link, for measurements; None before the client is entered."""
        return self._link

    @property
    def ignored(self) -> Mapping[str, int]:
        """How much nonsense arrived, by kind."""
        return {} if self._driver is None else self._driver.ignored

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(
        self,
        users: str | Sequence[str],
        *,
        media: CallMedia = CallMedia.VIDEO,
        info: Info | None = None,
        source: SourceSpec | None = None,
        sinks: Sequence[SinkSpec] | None = None,
        mute: Collection[MediaKind] = (),
        data: str = "",
    ) -> Dialing:
        """Call one to three users.

        `call = await client.call("bob@example.org")`, or `async with client.call(...) as call:`, which hangs up and
        waits for the end of the call when it is left.

        Args:
            users: JIDs, or numbers on an account `<number>-<application>@domain`.
            media: sound only, or picture and sound.
            info: what to tell them, text to text.
            source: what to send; default: as configured.
            sinks: where received media goes; default: as configured.
            mute: kinds of media that start muted.
            data: what this user says about itself to all participants, at most 1000 characters.

        Raises:
            InvalidArgument: a user is no JID, is this user, or is named twice; nobody, or too many are called.
            InvalidState: a call with the same users is live, or the client was not entered.
            LinkDown: the chat is not connected.
            SourceError, SinkError: a file, device or program is missing.
        """

        async def dial() -> Call:
            words = check_info(info)
            check_participant_data(data)
            call = await self.create_call(users, media=media, source=source, sinks=sinks, mute=mute)
            await call.start(words, data=data)
            return call

        return Dialing(dial)

    async def create_call(
        self,
        users: str | Sequence[str],
        *,
        media: CallMedia = CallMedia.VIDEO,
        source: SourceSpec | None = None,
        sinks: Sequence[SinkSpec] | None = None,
        mute: Collection[MediaKind] = (),
    ) -> Call:
        """Make a call without dialing yet: `call.start()` does. See `call` for the arguments and errors."""
        named = [users] if isinstance(users, str) else users
        callees = tuple(self._dialect.user(name) for name in named)
        what = CreateCall(call=CallId(str(uuid.uuid4())), callees=callees, media=media)
        self._started().engine.check(what)
        head = CallHead(call=what.call, caller=self.user, callees=callees, media=media)
        call = self._make(head, {})
        await self.open_media(call, source, sinks, mute)
        try:
            self.command(what)
        except BaseException:
            await call.close_media()
            raise
        self._add(call)
        return call

    async def incoming(self) -> AsyncIterator[Call]:
        """Calls that ring here, as they come in."""
        stream = self.subscriptions.stream(ev.IncomingCall)
        try:
            async for event in stream:
                yield self._calls[event.call]
        finally:
            self.subscriptions.end(stream)

    # -- events ------------------------------------------------------------------------------------------------------

    def on(self, event_class: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Decorate a function, synchronous or not, that is called with each event of this class or its subclasses.

        Raises:
            TypeError: `event_class` is no class of events.
        """

        def decorate(handler: Handler[E]) -> Handler[E]:
            self.subscriptions.on(event_class, handler)
            return handler

        return decorate

    def on_signal(self, type: str) -> Callable[[Handler[Signal]], Handler[Signal]]:
        """Decorate a function, synchronous or not, that is called with each `Signal` of this type.

        Those subscribed by `on(Signal)` before it are called before it.

        Raises:
            TypeError: `type` is not text.
        """
        if not isinstance(type, str):
            raise TypeError(f"type must be text, not {type!r}")

        def decorate(handler: Handler[Signal]) -> Handler[Signal]:
            self.subscriptions.on(Signal, handler, where=lambda event: event.type == type)
            return handler

        return decorate

    def off(self, handler: object) -> None:
        """Call this handler no more."""
        self.subscriptions.off(handler)

    def events(self, event_class: type[E]) -> EventStream[E]:
        """The events of a class from now on; ends when the client is left."""
        return self.subscriptions.stream(event_class)

    async def wait_for(
        self, event_class: type[E], *, timeout: float | None = None, where: Callable[[E], bool] | None = None
    ) -> E:
        """Wait for an event from now on.

        Raises:
            TimeoutError: `timeout` seconds went by.
            LinkDown: the client was left.
        """
        stream = self.subscriptions.stream(event_class, where=where)
        try:
            async with asyncio.timeout(timeout):
                async for event in stream:
                    return event
        finally:
            self.subscriptions.end(stream)
        raise LinkDown("the client was left")

    # -- what its calls need -----------------------------------------------------------------------------------------

    def command(self, what: Input) -> None:
        """See `qbcall.call.Owner`."""
        self._started().command(what)

    def name(self, text: str) -> User:
        """See `qbcall.call.Owner`."""
        return self._dialect.user(text)

    def check_info(self, info: Info | None) -> Info:
        """See `qbcall.call.Owner`."""
        return check_info(info)

    async def open_media(
        self, call: Call, source: SourceSpec | None, sinks: Sequence[SinkSpec] | None, mute: Collection[MediaKind]
    ) -> None:
        """See `qbcall.call.Owner`."""
        assert self._media is not None, "there is a call, so the client was entered"
        settings = self.config.media
        opened: list[Sink] = []
        try:
            for spec in settings.sinks if sinks is None else sinks:
                sink = await open_sink(spec)
                opened.append(sink)
                check_sink(spec, sink)
            some = await open_source(
                settings.source if source is None else source,
                settings.video_format(),
                self.user.partition("@")[0],
                call.media.kinds,
            )
        except BaseException:
            for sink in opened:
                await sink.close()
            raise
        call.receiving.sinks = opened
        call.local = Local.of(some, settings.video_format())
        for kind in mute:
            call.local.mute(kind, True)
        self._media.provide(
            call.id,
            call.local,
            call.receiving.deliver,
            bandwidth=settings.bandwidth,
            wants=call.receiving.wants,
            passed=call.receiving.passed,
            records=call.receiving.records,
            record=call.receiving.record,
        )

    async def replace_source(self, call: Call, source: SourceSpec) -> None:
        """See `qbcall.call.Owner`."""
        assert call.local is not None, "checked by the call"
        form = self.config.media.video_format()
        some = await open_source(source, form, self.user.partition("@")[0], call.media.kinds)
        call.local.replace(some)

    def limit(self, call: CallId, peer: User | None, bandwidth: int) -> None:
        """See `qbcall.call.Owner`."""
        if self._media is not None:
            self._media.limit(call, peer, bandwidth)

    def wake(self, call: CallId, peer: User) -> None:
        """See `qbcall.call.Owner`."""
        if self._media is not None:
            self._media.wake(call, peer)

    def measure(self, call: CallId, peer: User) -> StatsReport | None:
        """See `qbcall.call.Owner`."""
        return None if self._media is None else self._media.latest(call, peer)

    # -- details -----------------------------------------------------------------------------------------------------

    def _started(self) -> Driver:
        if self._driver is None:
            raise InvalidState("the client is not started: use `async with client`")
        return self._driver

    def _xmpp(self, user: User, post: Post) -> ChatLink:
        services = self._use_servers if self.config.ice_settings().discover else None
        return XmppLink(self.config.xmpp_settings(), self._dialect, post, services)

    def _use_servers(self, servers: tuple[IceServer, ...]) -> None:
        if self._media is not None:
            self._media.use(servers)

    async def _go_online(self) -> None:
        stream = self.subscriptions.stream(ev.LinkEvent)
        try:
            self.command(GoOnline())
            async for event in stream:
                if isinstance(event, ev.LinkOnline):
                    return
                if isinstance(event, ev.LinkLost):
                    raise event.error
        finally:
            self.subscriptions.end(stream)

    def _publish(self, event: ev.Event) -> None:
        now = asyncio.get_running_loop().time()
        if isinstance(event, ev.IncomingCall):
            head = CallHead(call=event.call, caller=event.caller, callees=event.callees, media=event.media)
            self._add(self._make(head, event.info))
        elif isinstance(event, ev.LinkOnline):
            self.device = event.device
        elif isinstance(event, ev.CallMerged):
            self._calls[event.call] = self._calls.pop(event.was)
            if self._media is not None:
                self._media.rename(event.was, event.call)
        call = self._calls.get(event.call) if isinstance(event, ev.CallEvent) else None
        if call is not None and isinstance(event, ev.CallEvent):
            call.fold(event, now)
        self.subscriptions.publish(event)
        if call is not None and isinstance(event, ev.CallClosed):
            call.end_streams()
            task = asyncio.get_running_loop().create_task(call.wind_up())
            self._winding_up.add(task)
            task.add_done_callback(self._winding_up.discard)

    def _make(self, head: CallHead, info: Info) -> Call:
        return Call(self, head, self.user, info, now=asyncio.get_running_loop().time())

    def _add(self, call: Call) -> None:
        self._calls[call.id] = call
        over = [known.id for known in self._calls.values() if known.end_reason is not None]
        for old in over[:-REMEMBERED_CALLS]:
            del self._calls[old]

    async def _close(self) -> None:
        assert self._driver is not None, "only an entered client is closed"
        with suppress(InvalidState):
            self._driver.command(GoOffline())
        while self._winding_up:
            await asyncio.wait(self._winding_up)
        await self.subscriptions.close()
        if self._link is not None:
            await self._link.close()
        if self._media is not None:
            await self._media.close()
        self._driver.stop()


class Dialing:
    """A call that is being made: await it, or enter it with `async with`."""

    def __init__(self, dial: Callable[[], Coroutine[Any, Any, Call]]) -> None:
        self._dial = dial
        self._call: Call | None = None

    def __await__(self) -> Generator[Any, None, Call]:
        return self._dial().__await__()

    async def __aenter__(self) -> Call:
        self._call = await self
        return self._call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._call is not None, "entered before it is left"
        await self._call.__aexit__(kind, error, trace)
