"""How much later a program hears what another says, and whether that grows with the length of a call.

The network takes no time here. One writes chirps in real time, in blocks of 20 ms; the other listens to `pcm`. The
delay of a chirp is the time from the moment its first block was pushed to that in which the block with its beginning
was given.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from benchmarks.figures import Figure, milliseconds
from qbcall import CallMedia, Client, Config, IncomingCall, MemoryHub, PcmSource, PcmStream
from qbcall.media.mono import Mono
from qbcall.media.pace import Pace
from tests.chirps import beginnings, chirp

RATE, BLOCK = 16_000, 320
BETWEEN = 25
"""Blocks from one chirp to the next: half a second."""
CALLS, SECONDS = 10, 5.0
LONG = 600.0
"""Seconds of the call in which the drift is measured."""
PART = 60 * RATE
"""Samples that are searched at once."""


@dataclass
class Talk:
    """What was said and heard, and when."""

    said: list[float] = field(default_factory=list)
    """When each chirp was begun, in seconds."""
    came: list[float] = field(default_factory=list)
    """When each block came."""
    heard: list[Mono] = field(default_factory=list)

    def delays(self) -> tuple[list[float], list[float]]:
        """When each chirp that was recognized was said, and how much later it was heard; in seconds."""
        sound = np.concatenate(self.heard)
        times, delays = [], []
        for start in range(0, len(sound), PART):
            for place in beginnings(sound[start : start + PART + RATE], RATE):
                if place < PART:
                    came = self.came[(start + place) // BLOCK]
                    said = self.said[max(bisect_right(self.said, came) - 1, 0)]
                    times.append(said)
                    delays.append(came - said)
        return times, delays

    async def say(self, voice: PcmSource, seconds: float) -> None:
        """Write in real time."""
        pace, first = Pace(BLOCK / RATE, patience=1.0), chirp(RATE)
        whole = np.zeros(BETWEEN * BLOCK, np.int16)
        whole[: len(first)] = first
        for number in range(round(seconds * RATE / BLOCK)):
            await pace.tick()
            place = number % BETWEEN
            if not place:
                self.said.append(perf_counter())
            voice.push(whole[place * BLOCK : place * BLOCK + BLOCK])

    async def hear(self, stream: PcmStream) -> None:
        """Take down what comes."""
        async for block in stream:
            self.came.append(perf_counter())
            self.heard.append(block)


def config(name: str) -> Config:
    """One participant, without a server."""
    return Config.of(
        account={"jid": f"{name}@example.org"},
        ice={"addresses": ("127.0.0.1",)},
        media={"source": "silence", "sinks": ("null",)},
    )


async def talk(seconds: float) -> Talk:
    """One call in which that long is spoken."""
    done, hub = Talk(), MemoryHub()
    async with AsyncExitStack() as stack:
        ann, bob = [await stack.enter_async_context(Client(config(name), link=hub.link)) for name in ("ann", "bob")]
        ringing = asyncio.ensure_future(bob.wait_for(IncomingCall))
        await asyncio.sleep(0)
        voice = PcmSource(RATE)
        async with ann.call(bob.user, media=CallMedia.AUDIO, source=voice) as call:
            theirs = bob.calls[(await ringing).call]
            await theirs.accept()
            await asyncio.gather(call.connected(), theirs.connected())
            audio = theirs.peer(ann.user).audio
            assert audio is not None, "it is connected"
            hearing = asyncio.ensure_future(done.hear(audio.pcm(RATE)))
            await done.say(voice, seconds)
            await voice.drained()
            await asyncio.sleep(0.3)
        await hearing
    return done


async def several(calls: int, seconds: float) -> Figure:
    """Calls differ in how the blocks that are written lie to those that are sent."""
    talks = [await talk(seconds) for _ in range(calls)]
    delays = [delay for one in talks for delay in one.delays()[1]]
    return milliseconds(f"a chirp from push to pcm, in {calls} calls (to reach: below 60 ms)", delays)


async def drift(seconds: float) -> list[Figure]:
    """One long call."""
    times, delays = (await talk(seconds)).delays()
    quarter = max(len(delays) // 4, 1)
    first, last = (float(np.median(some)) for some in (delays[:quarter], delays[-quarter:]))
    slope = float(np.polyfit(times, delays, 1)[0]) if len(times) > 1 else 0.0
    return [
        milliseconds(f"a chirp from push to pcm, in a call of {seconds:g} s", delays),
        Figure(
            "its growth from the first quarter to the last (to reach: none)",
            f"{(last - first) * 1e3:+.1f} ms",
            f"slope {slope * 1e6:+.2f} ppm, n={len(times)}",
        ),
    ]


async def run(*, smoke: bool) -> list[Figure]:
    """All figures of this module."""
    if smoke:
        return [await several(1, 2.0), *await drift(2.0)]
    return [await several(CALLS, SECONDS), *await drift(LONG)]
