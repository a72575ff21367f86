"""How soon a caller sees who it calls: qbcall and the QuickBlox SDK in both roles, over one Prosody, in turn.

Measured is the time from the call to the first decoded picture of the callee, at the caller, on its own clock. It
holds all that a user waits for: opening camera and microphone on both sides, the invitation, the answer (the callee
accepts by itself, at once), ICE, DTLS, the first picture and its way through the codecs.

* Everybody sends test cards of one size and rate, and a tone. The browser's are on a canvas, which opens faster than
  any device.
* Nobody shares a process: the users of the SDK have a page each, qbcall's callee runs apart, its caller is here.
* A browser tells the time of a picture when it hands it over for display, shortly after it was decoded.

On a busy machine the figures tell of what else runs; `chrt --rr 1 python -m benchmarks quickblox` goes before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from time import perf_counter
from typing import Protocol

from benchmarks.figures import Figure, milliseconds, ratio
from benchmarks.mesh import start, until
from qbcall.devserver import DevServer
from qbcall.media.frames import Frame
from tests.interop.cards import FORMAT
from tests.interop.conftest import missing
from tests.interop.js_user import PATIENCE, JsUser, local_part
from tests.interop.py_user import PyUser
from tests.interop.room import Premises, Room

ROUNDS = 10
JS_CALLER, JS_CALLEE, PY_CALLER, PY_CALLEE = range(1001, 1005)
YARDSTICK = ("JS", "JS")
GOAL = ("qbcall", "qbcall")
PICTURE = (FORMAT.width, FORMAT.height, FORMAT.fps)

ANSWER = """() => {
    const listen = QB.webrtc.onCallListener;
    QB.webrtc.onCallListener = (session, info) => {
        listen(session, info);
        agent.accept({}, session.ID);
    };
}"""
"""Makes a page accept each call at once, without asking Python."""

CALL = """async (callee) => {
    const began = performance.now();
    const pictured = new Promise((done) => {
        const listen = QB.webrtc.onRemoteStreamListener;
        QB.webrtc.onRemoteStreamListener = (session, user, stream) => {
            QB.webrtc.onRemoteStreamListener = listen;
            listen(session, user, stream);
            const screen = [...document.querySelectorAll('video')].find((one) => one.srcObject === stream);
            screen.requestVideoFrameCallback((now, frame) => done(Math.min(now, frame.presentationTime)));
        };
    });
    await agent.call([callee], true, {}, {});
    return ((await pictured) - began) / 1000;
}"""
"""Calls, and gives the seconds until a picture was handed over for display: the earlier of the two times that
HTMLVideoElement.requestVideoFrameCallback tells."""


class Caller(Protocol):
    """Who calls."""

    async def measure(self, user: int) -> float:
        """Seconds from the call of a user to the first picture; the call is over afterwards."""


class Callee(Protocol):
    """Who accepts each call at once."""

    user: int

    async def free(self) -> None:
        """Wait for the end of the call."""


class JsCaller:
    """A user of the SDK."""

    def __init__(self, js: JsUser) -> None:
        self._js = js

    async def measure(self, user: int) -> float:
        """See `Caller`."""
        seconds = float(await self._js.page.evaluate(CALL, user))
        await self._js.stop()
        await self._js.expect("close")
        return seconds


class PyCaller:
    """A user of qbcall, in this process."""

    def __init__(self, py: PyUser) -> None:
        self._py = py

    async def measure(self, user: int) -> float:
        """See `Caller`."""
        pictured: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def see(user: str, frame: Frame) -> None:
            if hasattr(frame, "width") and not pictured.done():
                pictured.set_result(perf_counter())

        began = perf_counter()
        async with self._py.client.call([self._py.jid(user)], sinks=[see]):
            return await pictured - began


class JsCallee:
    """A user of the SDK; its page has `ANSWER`."""

    def __init__(self, js: JsUser) -> None:
        self.user = js.user
        self._js = js

    async def free(self) -> None:
        """See `Callee`."""
        await self._js.expect("close")


class PyCallee:
    """A user of qbcall, in a process of its own."""

    def __init__(self, user: int, process: asyncio.subprocess.Process) -> None:
        self.user = user
        self._process = process

    async def free(self) -> None:
        """See `Callee`."""
        await until(self._process, "call.ended")


@asynccontextmanager
async def callee(server: DevServer, user: int) -> AsyncIterator[PyCallee]:
    """One that is online."""
    process = await start(server, local_part(user), PICTURE, "answer")
    try:
        await until(process, "link.online")
        yield PyCallee(user, process)
    finally:
        process.terminate()
        await process.communicate()


async def measure(rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds to the first picture for each caller and callee, in turn; a first round warms up."""
    async with (
        Premises() as premises,
        Room(premises, "benchmark", []) as room,
        callee(premises.server, PY_CALLEE) as answering,
    ):
        js = await room.js(JS_CALLEE)
        await js.page.evaluate(ANSWER)
        callers: dict[str, Caller] = {
            "JS": JsCaller(await room.js(JS_CALLER)),
            "qbcall": PyCaller(await room.py(PY_CALLER)),
        }
        callees: dict[str, Callee] = {"JS": JsCallee(js), "qbcall": answering}
        taken: dict[tuple[str, str], list[float]] = {pair: [] for pair in product(callers, callees)}
        for _ in range(rounds + 1):
            for (caller, called), samples in taken.items():
                async with asyncio.timeout(PATIENCE):
                    samples.append(await callers[caller].measure(callees[called].user))
                    await callees[called].free()
    return {pair: samples[1:] for pair, samples in taken.items()}


async def run(*, smoke: bool) -> list[Figure | str]:
    """All figures of this module."""
    if missing():
        return [f"skipped: {missing()}"]
    taken = await measure(1 if smoke else ROUNDS)
    figures: list[Figure | str] = []
    for pair, samples in taken.items():
        figures.append(milliseconds(f"call to first picture, {' calls '.join(pair)}", samples))
        if pair != YARDSTICK:
            goal = " (to reach: less than 1)" if pair == GOAL else ""
            figures.append(ratio(f"ratio to JS calls JS{goal}", samples, taken[YARDSTICK]))
    return figures
