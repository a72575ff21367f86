"""The typed signals that this side sends in one call, and who waits for them (Vonage: signaling)."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable
from typing import Protocol

from qbcall.core import events as ev
from qbcall.core.inputs import Input, SendMessage, WithdrawMessage
from qbcall.core.model import CallId, User
from qbcall.dialects.message_text import TooLong, check_message
from qbcall.errors import InvalidArgument, SignalFailed


class Sender(Protocol):
    """What signaling needs from its client."""

    def command(self, what: Input) -> None:
        """Carry out a wish of the user."""

    def name(self, text: str) -> User:
        """The user that a person means; raises InvalidArgument or TypeError."""


class Signaling:
    """The signals of one call that are under way."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._sent: dict[str, asyncio.Future[None]] = {}
        self._delivered: dict[str, asyncio.Future[None]] = {}

    async def send(
        self,
        call: Callable[[], CallId],
        type: str,
        data: str,
        to: str | None,
        *,
        retry_after_reconnect: bool,
        ack: bool,
        ttl: float | None,
    ) -> str:
        """See `Call.signal`."""
        target = self._check(type, data, to, retry_after_reconnect, ttl)
        id = uuid.uuid4().hex
        waiting = self._delivered if ack else self._sent
        waiting[id] = done = asyncio.get_running_loop().create_future()
        try:
            self._sender.command(
                SendMessage(
                    call=call(),
                    id=id,
                    type=type,
                    data=data,
                    to=target,
                    wait_for_link=retry_after_reconnect,
                    ttl=ttl,
                    ack=ack,
                )
            )
            await done
        except asyncio.CancelledError:
            self._sender.command(WithdrawMessage(call=call(), id=id))
            raise
        finally:
            del waiting[id]
        return id

    def fold(self, event: ev.SignalSent | ev.SignalDelivered | ev.SignalNotSent) -> None:
        """Wake who waits for it."""
        match event:
            case ev.SignalSent(id=id):
                _finish(self._sent.get(id), None)
            case ev.SignalDelivered(id=id):
                _finish(self._delivered.get(id), None)
            case ev.SignalNotSent(id=id, code=code, detail=detail):
                for waiting in (self._sent, self._delivered):
                    _finish(waiting.get(id), SignalFailed(code, detail))

    def _check(self, type: str, data: str, to: str | None, retry: bool, ttl: float | None) -> User | None:
        try:
            check_message(type, data)
            target = None if to is None else self._sender.name(to)
        except TooLong as error:
            raise SignalFailed(413, str(error)) from None
        except InvalidArgument as error:
            raise SignalFailed(400, str(error)) from None
        if not isinstance(retry, bool):
            raise TypeError(f"retry_after_reconnect must be true or false, not {retry!r}")
        if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, (int, float))):
            raise TypeError(f"ttl must be a number of seconds, not {ttl!r}")
        if ttl is not None and not (math.isfinite(ttl) and ttl > 0):
            raise SignalFailed(400, f"ttl must be more than 0 s and finite, not {ttl}")
        return target


def _finish(done: asyncio.Future[None] | None, error: SignalFailed | None) -> None:
    if done is None or done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
