"""Opens what takes received media, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from qbcall.core.model import MediaKind, User
from qbcall.errors import InvalidArgument
from qbcall.media.callback import Callback
from qbcall.media.frames import Frame, Sink
from qbcall.media.mono import HIGHEST_RATE, LOWEST_RATE, PCM_RATE
from qbcall.media.pcm_pipes import open_pcm_sink
from qbcall.media.pipes import STANDARD
from qbcall.media.recorder import open_recorder
from qbcall.media.snapshots import open_snapshots
from qbcall.media.sound_devices import Speaker
from qbcall.media.specs import Form, Spec, parse
from qbcall.media.verify import Verifier
from qbcall.media.window import open_window


class Null:
    """Takes everything, keeps nothing."""

    kinds: Collection[MediaKind] = ()

    def write(self, peer: User, frame: Frame) -> None:
        """Forget a frame."""

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A sink with a name."""

    form: Form
    open: Callable[[Spec], Awaitable[Sink]]


async def open_sink(spec: str | Callable[[User, Frame], object]) -> Sink:
    """Open what takes received media.

    Names: `null`, `record:DIR[,mix=yes]`, `snapshot:DIR[,every=S]`, `window`, `speaker`, `pcm:PATH[,rate=16000]`,
    `verify[:tones=NAME=HZ/NAME=HZ]`.

    Args:
        spec: a name, or a function of user and frame, which may return an awaitable.

    Raises:
        InvalidArgument: an unknown name or option.
        SinkError: a directory, device or program is missing; names it, and why.
    """
    if callable(spec):
        return Callback(spec)
    if not isinstance(spec, str):
        raise InvalidArgument(f"sink must be text or a function of user and frame, not {type(spec).__name__}")
    parsed = parse(spec, "sink", FORMS)
    return await SINKS[parsed.name].open(parsed)


async def _null(spec: Spec) -> Sink:
    return Null()


async def _record(spec: Spec) -> Sink:
    return await open_recorder(spec.text, spec.value, mix=spec.flag("mix", False))


async def _snapshot(spec: Spec) -> Sink:
    every = spec.number("every", 1, 3600, 0)
    return await open_snapshots(spec.text, spec.value, every or None)


async def _window(spec: Spec) -> Sink:
    return await open_window(spec.text)


async def _speaker(spec: Spec) -> Sink:
    return await asyncio.to_thread(Speaker, spec.text)


async def _pcm(spec: Spec) -> Sink:
    return await open_pcm_sink(spec.text, spec.value, spec.number("rate", LOWEST_RATE, HIGHEST_RATE, PCM_RATE))


async def _verify(spec: Spec) -> Sink:
    tones: dict[str, int] = {}
    for pair in filter(None, spec.options.get("tones", "").split("/")):
        name, _, hertz = pair.rpartition("=")
        if not name or not hertz.isdecimal():
            raise InvalidArgument(f"{spec.text}: tones must be NAME=HZ/NAME=HZ/..., not {pair!r}")
        tones[name] = int(hertz)
    return Verifier(tones)


SINKS = {
    "null": Entry(Form(), _null),
    "record": Entry(Form("DIR", needed=True, options=("mix",)), _record),
    "snapshot": Entry(Form("DIR", needed=True, options=("every",)), _snapshot),
    "window": Entry(Form(), _window),
    "speaker": Entry(Form(), _speaker),
    "pcm": Entry(Form("PATH", needed=True, options=("rate",)), _pcm),
    "verify": Entry(Form(options=("tones",)), _verify),
}
"""Every sink that has a name."""
FORMS = {name: entry.form for name, entry in SINKS.items()}


def takes_standard_output(spec: object) -> bool:
    """Whether this sink writes to standard output."""
    return isinstance(spec, str) and spec.startswith("pcm:") and parse(spec, "sink", FORMS).value == STANDARD
