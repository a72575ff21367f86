"""Sends typed signals in a call, and keeps account of what failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qbcall.cli.output import Output
from qbcall.cli.standard_input import Lines, LineTooLong
from qbcall.core import events as ev
from qbcall.core.model import PeerState
from qbcall.dialects.message_text import check_message
from qbcall.errors import CallFailed, InvalidArgument, QbcallError, SignalFailed

if TYPE_CHECKING:
    from qbcall.call import Call

AT_ONCE = 64
"""Lines that may be under way at the same time."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a signal says."""

    type: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How signals are sent: see `Call.signal`."""

    to: str | None = None
    retry: bool = True
    ack: bool = False
    ttl: float | None = None


class NotSent(SignalFailed):
    """Some signals failed; `code` is that of the first."""

    def __init__(self, first: SignalFailed, words: str) -> None:
        QbcallError.__init__(self, words)
        self.code = first.code


class Sending:
    """The signals of one call."""

    def __init__(self, call: Call, delivery: Delivery, output: Output) -> None:
        self.sent = 0
        self._failures: list[tuple[str, SignalFailed]] = []
        self._call = call
        self._delivery = delivery
        self._output = output

    async def answered(self) -> None:
        """Wait until everybody who is called takes part, or never will. Who never will gets nothing: a failure.

        Raises:
            CallFailed: nobody takes part.
        """
        peers = self._call.peers.values()
        await self._call.wait_for(
            ev.CallEvent, where=lambda _: all(peer.joined or peer.state is PeerState.CLOSED for peer in peers)
        )
        if not any(peer.joined for peer in peers):
            await self._call.ended()
            raise self._call.failure()
        for peer in peers:
            if not peer.joined and self._delivery.to in (None, peer.user):
                self._note("", SignalFailed(404, f"{peer.user} is not in the call"))

    async def send(self, letters: Sequence[Letter]) -> None:
        """Send these, one after the other."""
        for letter in letters:
            await self._send(letter, "")

    async def send_when_answered(self, letters: Sequence[Letter]) -> None:
        """Send these, unless nobody takes part: the end of the call says that."""
        with suppress(CallFailed):
            if letters:
                await self.answered()
                await self.send(letters)

    async def send_lines(self, type: str, lines: Lines) -> None:
        """Send each line as a signal, as they come, until there is none or the call is over."""
        feeding = asyncio.ensure_future(self._feed(type, lines))
        over = asyncio.ensure_future(self._call.ended())
        try:
            await asyncio.wait((feeding, over), return_when=asyncio.FIRST_COMPLETED)
            if not feeding.done():
                self._note("", SignalFailed(404, "the call was over before the input"))
        finally:
            over.cancel()
            feeding.cancel()
            await asyncio.wait((feeding, over))
        if not feeding.cancelled():
            feeding.result()

    def close(self) -> None:
        """Everything was tried.

        Raises:
            NotSent: something failed.
        """
        if self._failures:
            where, first = self._failures[0]
            more = f"; {len(self._failures) - 1} more failed" if self._failures[1:] else ""
            raise NotSent(first, f"{where}{first}{more}")

    async def _feed(self, type: str, lines: Lines) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        number = 0

        async def one(line: str, where: str) -> None:
            await self._send(Letter(type, line), where)
            room.release()

        async with asyncio.TaskGroup() as group:
            while True:
                number += 1
                where = f"line {number}: "
                await room.acquire()
                try:
                    line = await lines.next()
                except InvalidArgument as error:
                    self._note(where, SignalFailed(413 if isinstance(error, LineTooLong) else 400, str(error)))
                    room.release()
                    continue
                if line is None:
                    return
                group.create_task(one(line, where))

    async def _send(self, letter: Letter, where: str) -> None:
        how = self._delivery
        try:
            await self._call.signal(
                letter.type, letter.data, how.to, retry_after_reconnect=how.retry, ack=how.ack, ttl=how.ttl
            )
        except SignalFailed as error:
            self._note(where, error)
        else:
            self.sent += 1

    def _note(self, where: str, error: SignalFailed) -> None:
        self._failures.append((where, error))
        self._output.say(f"not sent: {where}{error}")


def parsed_letters(texts: Sequence[str] | None) -> list[Letter]:
    """`TYPE=DATA` texts as letters.

    Raises:
        InvalidArgument: no `=`, or the type or the data cannot be sent.
    """
    letters = []
    for text in texts or ():
        type, equals, data = text.partition("=")
        if not equals:
            raise InvalidArgument(f"--signal must be TYPE=DATA, not {text!r}")
        check_message(type, data)
        letters.append(Letter(type, data))
    return letters
