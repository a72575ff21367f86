"""What one user sees and hears of another, waited for: a card of a name, black, a pitch, silence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import av
import numpy as np

from qbcall.media.frames import AUDIO_RATE, Frame
from qbcall.media.incoming import Incoming, to_array
from qbcall.media.planes import luma
from qbcall.media.testcard import read
from qbcall.media.tone import pitch
from qbcall.peer import Peer
from tests.interop.cards import card_of, frame_of
from tests.interop.js_user import PATIENCE, TOLERANCE, JsUser

DARK = 40
"""Luma that no pixel of a black picture exceeds; black itself is 16, and a code makes small errors."""
BLOCKS = 10
"""Of 20 ms: enough sound to tell its pitch."""
SILENCE = 0
"""The pitch of no sound at all, in hertz."""
QUIET = 100
"""Of 32767: the loudest sample of silence."""

Size = tuple[int, int]


def is_black(frame: av.VideoFrame) -> bool:
    """Whether nothing can be seen."""
    return int(luma(frame).max()) <= DARK


# -- at qbcall -------------------------------------------------------------------------------------------------------


async def py_sees(peer: Peer, name: str, size: Size | None = None) -> None:
    """Wait until the picture of a peer is the card of that name, in that size.

    Raises:
        AssertionError: it is not, in time.
    """

    def wanted(frame: av.VideoFrame) -> bool:
        card = read(frame)
        return card is not None and card.name == name and size in (None, (frame.width, frame.height))

    await _picture(peer, wanted, f"card {name} in {size}")


async def py_sees_black(peer: Peer) -> None:
    """Wait until the picture of a peer is black."""
    await _picture(peer, is_black, "black picture")


async def py_hears(peer: Peer, hertz: int) -> None:
    """Wait until the sound of a peer is a tone, or `SILENCE`.

    Raises:
        AssertionError: it is not, in time.
    """
    found = math.nan
    try:
        async with asyncio.timeout(PATIENCE):
            while not abs(found - hertz) <= TOLERANCE:
                found = await _pitch(_incoming(peer.audio))
    except TimeoutError:
        raise AssertionError(f"{peer.user}: {hertz} Hz was not heard, but {found:.0f}") from None


async def _picture(peer: Peer, wanted: Callable[[av.VideoFrame], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            async for frame in _incoming(peer.video):
                assert isinstance(frame, av.VideoFrame)
                if wanted(frame):
                    return
    except TimeoutError:
        pass
    raise AssertionError(f"{peer.user}: no {what} was seen")


async def _pitch(incoming: Incoming) -> float:
    blocks: list[Frame] = []
    async for frame in incoming:
        blocks.append(frame)
        if len(blocks) == BLOCKS:
            break
    sound = np.concatenate([to_array(block) for block in blocks])
    if int(np.abs(sound.astype(int)).max()) <= QUIET:
        return SILENCE
    found = pitch(sound, AUDIO_RATE)
    return math.nan if found is None else found


def _incoming(one: Incoming | None) -> Incoming:
    assert one is not None, "the track was announced"
    return one


# -- at a browser ----------------------------------------------------------------------------------------------------


async def js_sees(js: JsUser, user: int, name: str, size: Size | None = None) -> None:
    """Wait until the picture of a user is the card of that name, in that size.

    Raises:
        AssertionError: it is not, in time.
    """

    def wanted(url: str) -> bool:
        card, frame = card_of(url), frame_of(url)
        return card is not None and card.name == name and size in (None, (frame.width, frame.height))

    await _shown(js, user, wanted, f"card {name} in {size}")


async def js_sees_black(js: JsUser, user: int) -> None:
    """Wait until the picture of a user is black."""
    await _shown(js, user, lambda url: is_black(frame_of(url)), "black picture")


async def js_hears(js: JsUser, user: int, hertz: int) -> None:
    """Wait until the sound of a user is a tone, or `SILENCE`."""
    near = "(user, wanted, off) => Math.abs(agent.pitch(user) - wanted) <= off"
    await js.until(near, user, hertz, TOLERANCE)


async def _shown(js: JsUser, user: int, wanted: Callable[[str], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not ((url := await js.picture(user)) and wanted(url)):
                pass
    except TimeoutError:
        raise AssertionError(f"JS {js.user}: no {what} of {user} was seen") from None
