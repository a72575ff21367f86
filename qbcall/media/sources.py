"""Opens what is sent, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from qbcall.core.model import MediaKind
from qbcall.errors import InvalidArgument
from qbcall.media.application import source_of
from qbcall.media.camera import open_camera
from qbcall.media.files import open_file
from qbcall.media.frames import Source, VideoFormat
from qbcall.media.mono import HIGHEST_RATE, LOWEST_RATE, PCM_RATE
from qbcall.media.pcm_pipes import open_pcm
from qbcall.media.screen import open_screen
from qbcall.media.sound_devices import open_microphone
from qbcall.media.specs import Form, Spec, parse, split
from qbcall.media.synthetic import Black, Silence, TestCard, Tone
from qbcall.media.tone import HIGHEST, LOWEST, pitch_of

Kinds = Collection[MediaKind]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a source is opened for."""

    video: VideoFormat
    name: str
    """Of the participant."""
    kinds: Kinds


@dataclass(frozen=True, slots=True)
class Entry:
    """A source with a name."""

    form: Form
    open: Callable[[Spec, Wanted], Awaitable[Source]]
    kinds: Kinds = tuple(MediaKind)
    """What it can give."""


async def open_source(spec: str | object, video: VideoFormat, name: str, kinds: Kinds) -> Source:
    """Open what one participant sends.

    Names: `test[:name=alice,tone=440,size=320x240,fps=15]`, `file:PATH[,loop=no]`, `camera[:N]`, `screen`, `mic`,
    `pcm:PATH[,rate=16000,live=yes]`, `silence`, `none`; joined with `+` (`camera+mic`), the first that has a kind
    gives it.

    Args:
        spec: a name, or an object: see `qbcall.media.application.source_of`.
        video: wished size and rate of the picture.
        name: of the participant, for the test card.
        kinds: what is sent in this call; no other part is opened.

    Raises:
        InvalidArgument: an unknown name or option.
        SourceError: a file, device or program is missing; names it, and why.
    """
    wanted = Wanted(video, name, tuple(kinds))
    if not isinstance(spec, str):
        return source_of(spec, video, wanted.kinds)
    parts = [parse(part, "source", FORMS) for part in split(spec, FORMS)]
    opened = Source()
    try:
        for part in parts:
            missing = tuple(kind for kind in wanted.kinds if opened.of(kind) is None)
            usable = tuple(kind for kind in missing if kind in SOURCES[part.name].kinds)
            if usable:
                more = await SOURCES[part.name].open(part, replace(wanted, kinds=usable))
                opened = Source(audio=opened.audio or more.audio, video=opened.video or more.video)
    except BaseException:
        await opened.close()
        raise
    return opened


async def _test(spec: Spec, wanted: Wanted) -> Source:
    name = spec.options.get("name", wanted.name)
    format = _format(spec, wanted.video)
    tone = Tone(spec.number("tone", LOWEST, HIGHEST, pitch_of(name)))
    return Source(
        audio=tone if MediaKind.AUDIO in wanted.kinds else None,
        video=TestCard(format, name) if MediaKind.VIDEO in wanted.kinds else None,
    )


async def _file(spec: Spec, wanted: Wanted) -> Source:
    again = spec.flag("loop", True)
    return await open_file(spec.text, Path(spec.value), again=again, format=wanted.video, kinds=wanted.kinds)


async def _camera(spec: Spec, wanted: Wanted) -> Source:
    return Source(video=await open_camera(spec.text, spec.number("value", 0, 99, 0), wanted.video))


async def _screen(spec: Spec, wanted: Wanted) -> Source:
    return Source(video=await open_screen(spec.text, wanted.video))


async def _microphone(spec: Spec, wanted: Wanted) -> Source:
    return Source(audio=await open_microphone(spec.text))


async def _pcm(spec: Spec, wanted: Wanted) -> Source:
    rate = spec.number("rate", LOWEST_RATE, HIGHEST_RATE, PCM_RATE)
    return Source(audio=await open_pcm(spec.text, spec.value, rate, live=spec.flag("live", False)))


async def _silence(spec: Spec, wanted: Wanted) -> Source:
    return Source(
        audio=Silence() if MediaKind.AUDIO in wanted.kinds else None,
        video=Black(wanted.video) if MediaKind.VIDEO in wanted.kinds else None,
    )


async def _none(spec: Spec, wanted: Wanted) -> Source:
    return Source()


def _format(spec: Spec, default: VideoFormat) -> VideoFormat:
    width, cross, height = spec.options.get("size", f"{default.width}x{default.height}").partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and len(width + height) < 10):
        raise InvalidArgument(f"{spec.text}: size must be WIDTHxHEIGHT, not {spec.options['size']!r}")
    try:
        return VideoFormat(int(width), int(height), spec.number("fps", 1, 60, default.fps))
    except InvalidArgument as error:
        raise InvalidArgument(f"{spec.text}: {error}") from None


VIDEO, AUDIO = (MediaKind.VIDEO,), (MediaKind.AUDIO,)
SOURCES = {
    "test": Entry(Form(options=("name", "tone", "size", "fps")), _test),
    "file": Entry(Form("PATH", needed=True, options=("loop",)), _file),
    "camera": Entry(Form("N"), _camera, VIDEO),
    "screen": Entry(Form(), _screen, VIDEO),
    "mic": Entry(Form(), _microphone, AUDIO),
    "pcm": Entry(Form("PATH", needed=True, options=("rate", "live")), _pcm, AUDIO),
    "silence": Entry(Form(), _silence),
    "none": Entry(Form(), _none),
}
"""Every source that has a name."""
FORMS = {name: entry.form for name, entry in SOURCES.items()}
