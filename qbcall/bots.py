"""Ready-made bots, and what runs them.

A bot is an asynchronous function, or an object that can be called like one: it gets each incoming `Call` and decides
what becomes of it; calls are served side by side. An object with `run(client)` places calls of its own instead.
`qbcall bot MODULE:OBJECT` runs either from the shell, `serve` within a program or a test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import av

from qbcall.call import Call, SinkSpec, SourceSpec
from qbcall.client import Client
from qbcall.core.model import CallMedia, MediaKind, User
from qbcall.errors import ExpectationFailed, InvalidArgument, InvalidState
from qbcall.media.frames import Frame

MIRROR_LIMITS = {MediaKind.AUDIO: 8, MediaKind.VIDEO: 2}
"""Frames that wait in a mirror; older ones are dropped, so that it never lags."""


class AnsweringBot(Protocol):
    """Gets each incoming call."""

    async def __call__(self, call: Call) -> None:
        """Accept it, reject it, talk; return when done with it. A call that is still live then is hung up."""


@runtime_checkable
class CallingBot(Protocol):
    """Acts by itself."""

    async def run(self, client: Client) -> None:
        """Place calls; return when done."""


Bot = AnsweringBot | CallingBot


async def serve(client: Client, bot: Bot, *, calls: int | None = None) -> None:
    """Run a bot until it is done.

    Args:
        client: an entered client.
        bot: answers or places calls.
        calls: how many calls an answering bot serves; None: until cancelled.

    Raises:
        ExceptionGroup: what the bot raised, after the call in which it did was hung up. `InvalidState` is none of it
            when the call was over by then.
    """
    if isinstance(bot, CallingBot):
        await bot.run(client)
        return
    served = 0
    async with asyncio.TaskGroup() as group:
        async for call in client.incoming():
            served += 1
            group.create_task(_serve(call, bot))
            if served == calls:
                return


async def _serve(call: Call, bot: AnsweringBot) -> None:
    async with call:
        try:
            await bot(call)
        except InvalidState:
            if call.end_reason is None:
                raise
            # It wanted something of a call that had just ended, which no bot can foresee.


@dataclass
class Answer:
    """Accepts every call, stays for a while, hangs up."""

    source: SourceSpec | None = None
    """What it sends; None: as configured."""
    sinks: Sequence[SinkSpec] | None = None
    """Where received media goes; None: as configured."""
    duration: float | None = None
    """Seconds from the accept to the hang-up; None: until the other side ends the call."""
    info: Mapping[str, str] = field(default_factory=dict)
    """What it tells the caller."""

    async def __call__(self, call: Call) -> None:
        """Serve one call."""
        await call.accept(self.info, source=self.source, sinks=self.sinks)
        try:
            async with asyncio.timeout(self.duration):
                await call.ended()
        except TimeoutError:
            await call.hang_up()


class Echo:
    """Sends back what it hears and sees; in a group, of the user who is heard first."""

    async def __call__(self, call: Call) -> None:
        """Serve one call."""
        mirror = Mirror()
        await call.accept(source=mirror, sinks=[mirror.show])
        await call.ended()


@dataclass
class Record:
    """Records every call: one file for each user, in a directory for each call."""

    directory: str
    """Where; made if it is missing."""
    duration: float | None = None
    """Seconds from the accept to the hang-up; None: until the other side ends the call."""

    async def __call__(self, call: Call) -> None:
        """Serve one call."""
        bot = Answer(source="silence", sinks=[f"record:{self.directory}/{call.id}"], duration=self.duration)
        await bot(call)


Step = Callable[[Call], Awaitable[None]]
"""One thing that a scripted caller does."""


@dataclass
class ScriptedCaller:
    """Calls users, waits until the call is connected, does one step after the other, and hangs up."""

    users: Sequence[str]
    steps: Sequence[Step]
    media: CallMedia = CallMedia.VIDEO
    source: SourceSpec | None = None
    sinks: Sequence[SinkSpec] | None = None
    info: Mapping[str, str] = field(default_factory=dict)

    async def run(self, client: Client) -> None:
        """Place the call.

        Raises:
            Rejected, Busy, NoAnswer, MediaFailed: it was not connected.
            ExpectationFailed: a step was not met.
        """
        async with client.call(
            self.users, media=self.media, info=self.info, source=self.source, sinks=self.sinks
        ) as call:
            await call.connected()
            for step in self.steps:
                await step(call)


def wait(seconds: float) -> Step:
    """A step: let time pass."""
    return lambda call: asyncio.sleep(seconds)


def mute(kind: str, on: bool = True) -> Step:
    """A step: mute `audio` or `video`, or unmute it."""

    async def step(call: Call) -> None:
        call.mute(kind, on)

    return step


def show(source: SourceSpec) -> Step:
    """A step: send something else from now on."""
    return lambda call: call.replace_source(source)


def tell(**info: str) -> Step:
    """A step: tell application data to all."""
    return lambda call: call.update(info)


def expect_frames(count: int, *, within: float = 10.0) -> Step:
    """A step: every user of the call delivers that many more frames of each kind that comes in, within `within` s."""

    async def step(call: Call) -> None:
        goals = [
            (track, track.frames + count)
            for peer in call.peers.values()
            for track in (peer.audio, peer.video)
            if track is not None
        ]
        if not goals:
            raise ExpectationFailed("nobody sends anything")
        try:
            async with asyncio.timeout(within):
                for track, goal in goals:
                    async for _ in track:
                        if track.frames >= goal:
                            break
        except TimeoutError:
            late = sum(track.frames < goal for track, goal in goals)
            raise ExpectationFailed(f"{late} of {len(goals)} tracks gave less than {count} frames") from None

    return step


class Mirror:
    """A source that sends what is shown to it: sound and picture of the first user who shows any."""

    def __init__(self) -> None:
        self.audio = _Reflection(MediaKind.AUDIO)
        self.video = _Reflection(MediaKind.VIDEO)
        self._user: User | None = None

    def show(self, user: User, frame: Frame) -> None:
        """Give it a frame; usable as a sink."""
        self._user = self._user or user
        if user == self._user:
            (self.video if isinstance(frame, av.VideoFrame) else self.audio).put(frame)


class _Reflection:
    """One kind of media in a mirror."""

    def __init__(self, kind: MediaKind) -> None:
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(MIRROR_LIMITS[kind])

    def put(self, frame: Frame) -> None:
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    async def read(self) -> Frame:
        return await self._frames.get()

    async def close(self) -> None:
        """Nothing is held."""


def load(name: str) -> Bot:
    """The bot named `MODULE:OBJECT`; a class, or a function that makes a bot and takes nothing, is called.

    Raises:
        InvalidArgument: there is no such module or object, or it is no bot.
    """
    import importlib  # noqa: PLC0415 - only the command line loads bots by name
    import inspect  # noqa: PLC0415 - as above

    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise InvalidArgument(f"bot must be named MODULE:OBJECT, not {name!r}")
    try:
        found: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidArgument(f"bot {name!r}: {error}") from error
    if isinstance(found, type):
        try:
            found = found()
        except TypeError as error:
            raise InvalidArgument(f"bot {name!r}: {error}; name an object that is made already") from error
    called = found if inspect.isfunction(found) else getattr(found, "__call__", None)  # noqa: B004 - its method
    if not isinstance(found, CallingBot) and not inspect.iscoroutinefunction(called):
        raise InvalidArgument(f"bot {name!r} is neither an asynchronous function nor has it run(client)")
    return found  # type: ignore[return-value]  # checked above
