"""Programs that talk and listen in plain samples, over real calls."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qbcall import Call, CallMedia, InvalidState, MediaKind, MemoryHub, PcmSource, PcmStream, Stats
from qbcall.bots import serve
from qbcall.media.mono import Mono
from tests.chirps import beginnings, chirp
from tests.test_client import PATIENCE, answering, clients, run

RATE = 16_000
SPACE = 0.5
"""Seconds from the beginning of one chirp to that of the next."""


def chirps(count: int) -> Mono:
    """So many, with pauses."""
    one = np.zeros(round(SPACE * RATE), np.int16)
    one[: len(chirp(RATE))] = chirp(RATE)
    return np.tile(one, count)


async def listening(call: Call) -> PcmStream:
    """What is heard of the only other user."""
    await call.connected(PATIENCE)
    (peer,) = call.peers.values()
    assert peer.audio is not None
    return peer.audio.pcm(RATE)


def in_time(sound: Mono) -> bool:
    """Whether two chirps follow each other as they were written: a machine that stalls puts silence between them."""
    return any(
        after - before == pytest.approx(SPACE * RATE, abs=8) for before, after in pairwise(beginnings(sound, RATE))
    )


async def until_in_time(stream: PcmStream) -> Mono:
    """What is heard up to two chirps."""
    sound = np.zeros(0, np.int16)
    async with asyncio.timeout(PATIENCE):
        async for block in stream:
            sound = np.concatenate([sound, block])
            if len(sound) % (RATE // 5) == 0 and in_time(sound):
                return sound
    raise AssertionError("the call ended")


def test_what_one_program_says_another_hears_sample_by_sample() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        served = answering(bob, lambda call: call.accept())
        voice = PcmSource(RATE)
        call = await ann.call(bob.user, media=CallMedia.AUDIO, source=voice)
        await call.connected(PATIENCE)
        stream = await listening(await served)
        saying = asyncio.create_task(voice.write(chirps(60)))
        await until_in_time(stream)
        voice.clear()
        await saying
        await call.hang_up()
        async with asyncio.timeout(PATIENCE):
            assert all([len(block) == 320 async for block in stream])  # those that waited; then it ends
        assert voice.closed
        with pytest.raises(InvalidState, match="the call is over"):
            await voice.write(chirps(1))

    run(scenario)


def test_bot_that_repeats_what_it_hears_is_a_loop_of_two_lines() -> None:
    async def repeat(call: Call) -> None:
        voice = PcmSource(RATE)
        await call.accept(source=voice)
        async for block in await listening(call):
            await voice.write(block)

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        served = answering(bob, repeat)
        voice = PcmSource(RATE)
        call = await ann.call(bob.user, media=CallMedia.AUDIO, source=voice)
        await call.connected(PATIENCE)
        saying = asyncio.create_task(voice.write(chirps(60)))
        await until_in_time(await listening(call))
        await call.hang_up()
        async with asyncio.timeout(PATIENCE):
            assert (await served).end_reason is not None
            with pytest.raises(InvalidState):
                await saying

    run(scenario)


def test_bot_hears_of_a_picture_call_only_what_it_asks_for() -> None:
    """The picture is not decoded; sound is, from `pcm` on."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob", stats_interval=0.2)
        served = answering(bob, lambda call: call.accept(source=PcmSource()))
        call = await ann.call(bob.user)
        await call.connected(PATIENCE)
        theirs = await served
        peer = theirs.peer(ann.user)
        async with asyncio.timeout(PATIENCE):
            heard = 0
            async for block in await listening(theirs):
                heard += bool(block.any())
                if heard > 20 and peer.video is not None and peer.video.frames > 5:
                    break
        told = await theirs.wait_for(Stats, timeout=PATIENCE)
        assert told.report.received[MediaKind.VIDEO].frames_decoded == 0
        assert (told.report.received[MediaKind.AUDIO].frames_decoded or 0) > 20
        await call.hang_up()

    run(scenario)


PAGE = (Path(__file__).parent.parent / "docs/voice.md").read_text(encoding="utf-8")


def test_bot_of_the_page_says_back_what_it_heard_once_the_caller_pauses() -> None:
    """docs/voice.md."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(text, "docs/voice.md", "exec"), names)

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        serving = asyncio.create_task(serve(bob, names["parrot"], calls=1))
        await asyncio.sleep(0)
        voice = PcmSource(RATE)
        async with ann.call(bob.user, media=CallMedia.AUDIO, source=voice) as call:
            await call.connected(PATIENCE)
            stream = await listening(call)
            await voice.write(chirp(RATE))
            sound = np.zeros(0, np.int16)
            async with asyncio.timeout(PATIENCE):
                async for block in stream:
                    sound = np.concatenate([sound, block])
                    if not len(sound) % (RATE // 2) and beginnings(sound, RATE, least=0.5):
                        break
        await serving

    run(scenario)
