"""Offers that are recorded ones no more."""

from __future__ import annotations

import contextlib
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qbcall.adapters import rtc_sdp
from qbcall.core.inputs import AnswerReady, MediaBroke
from qbcall.core.model import Description, MediaKind
from qbcall.errors import NegotiationError
from tests.adapters.rtc_offers import VIDEO_OFFER
from tests.adapters.rtc_room import Endpoint, colour, is_near, join, run

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO


LINES = VIDEO_OFFER.split("\r\n")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A recorded offer with some lines lost, repeated, moved or written over."""
    lines = [*LINES, "a=x"]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["lose", "repeat", "move", "cut", "write", "number"])):
            case "lose":
                del lines[at : at + 20]
                lines.append("a=x")
            case "repeat":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, 20))]
            case "write":
                lines[at] += draw(st.text(max_size=8))
            case "number":
                lines[at] = re.sub(r"\d+", str(draw(st.integers(-1, 2**40))), lines[at], count=1)
    return "\r\n".join(lines)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_offer_is_answered_or_refused(offer: str) -> None:
    """Never an exception, neither here nor in a task."""

    async def play() -> None:
        async with Endpoint("b") as b, Endpoint("a") as a:
            b.accept(a, Description(offer))
            await b.condition(lambda: bool(b.told(AnswerReady) or b.told(MediaBroke)))

    run(play)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_mutated_offer_is_read_or_refused(offer: str) -> None:
    with contextlib.suppress(NegotiationError):
        read = rtc_sdp.read_offer(offer, [AUDIO, VIDEO], lambda _: True, lambda _: None)
        assert set(read.kinds) <= {AUDIO, VIDEO}
        assert read.text.count("\nm=") == len(read.kinds)


def test_connection_after_a_broken_one_works() -> None:
    async def play() -> None:
        async with Endpoint("a") as a, Endpoint("b", colour=(40, 200, 40)) as b:
            b.accept(a, Description("rubbish"), epoch=1)
            await b.until(MediaBroke)
            b.leave(a, epoch=1)
            await join(a, b, epoch=2)
            assert is_near(colour(await a.frame(b, VIDEO)), (40, 200, 40))

    run(play)
