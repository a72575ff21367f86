"""Typed signals as an application sends and gets them: over the in-process chat link, without media to speak of."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from qbcall import (
    Call,
    CallMedia,
    Client,
    Event,
    MemoryHub,
    ParticipantJoined,
    ParticipantLeft,
    Signal,
    SignalFailed,
)
from tests.test_client import PATIENCE, answering, clients, run


async def in_a_call(stack: AsyncExitStack, hub: MemoryHub) -> tuple[Client, Client, Call, Call]:
    """Ann called Bob; both take part."""
    ann, bob = await clients(stack, hub, "ann", "bob")
    served = answering(bob, lambda call: call.accept(data="bob's words"))
    call = await ann.call(bob.user, media=CallMedia.AUDIO, source="silence", data="ann's words")
    await call.wait_for(ParticipantJoined, timeout=PATIENCE)
    theirs = await served
    await theirs.wait_for(ParticipantJoined, timeout=PATIENCE)
    return ann, bob, call, theirs


def heard(client: Client) -> list[Signal]:
    """Signals from now on."""
    signals: list[Signal] = []
    client.on(Signal)(signals.append)
    return signals


def test_signals_go_to_all_or_to_one_and_say_when_they_arrived() -> None:
    """VS-001, VS-002, VS-006, VS-020."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob, call, theirs = await in_a_call(stack, hub)
        at_ann, at_bob = heard(ann), heard(bob)
        id = await call.signal("chat", "hi & <bye>", ack=True)
        assert [(one.sender, one.type, one.data, one.id) for one in at_bob] == [(ann.user, "chat", "hi & <bye>", id)]
        assert [one.sender for one in at_ann] == [ann.user]
        await theirs.signal(to=ann.user, ack=True)
        assert [(one.type, one.data) for one in at_ann[1:]] == [("", "")]
        assert len(at_bob) == 1

    run(scenario)


def test_handlers_of_a_type_hear_it_alone() -> None:
    """VS-004."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        _, bob, call, _ = await in_a_call(stack, hub)
        told: list[str] = []
        bob.on(Signal)(lambda event: told.append("all"))
        bob.on_signal("chat")(lambda event: told.append("chat"))

        @bob.on_signal("chat")
        async def later(event: Signal) -> None:
            told.append("async chat")

        bob.on_signal("other")(lambda event: told.append("other"))
        await call.signal("chat", "hi", ack=True)
        await call.signal("chats", "hi", ack=True)
        await asyncio.sleep(0)
        assert told[:2] == ["all", "chat"]
        assert sorted(told) == ["all", "all", "async chat", "chat"]
        with pytest.raises(TypeError):
            bob.on_signal(None)  # type: ignore[arg-type]  # the point

    run(scenario)


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"data": "x" * 8193}, 413, "data has 8193 bytes in UTF-8, at most 8192"),
        ({"data": "é" * 4097}, 413, "data has 8194 bytes"),
        ({"data": "\0"}, 400, "XML cannot carry"),
        ({"data": "\ud800"}, 400, "XML cannot carry"),
        ({"type": "x" * 129}, 413, "type has 129 characters, at most 128"),
        ({"type": "a b"}, 400, "only A-Z"),
        ({"type": "é"}, 400, "only A-Z"),
        ({"type": "a.b"}, 400, "only A-Z"),
        ({"type": "a b", "data": "x" * 8193}, 413, "data has"),
        ({"to": "cat@example.org"}, 404, "cat@example.org is not in the call"),
        ({"to": "no jid"}, 400, "no jid"),
        ({"ttl": 0}, 400, "ttl must be more than 0 s"),
        ({"ttl": float("nan")}, 400, "ttl must be more than 0 s"),
    ],
)
def test_wrong_signal_is_refused_before_it_is_sent(fields: dict[str, object], code: int, words: str) -> None:
    """VS-008 to VS-017."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        _, bob, call, _ = await in_a_call(stack, hub)
        at_bob = heard(bob)
        with pytest.raises(SignalFailed, match=words) as caught:
            await call.signal(**fields)  # type: ignore[arg-type]  # the point
        assert caught.value.code == code
        await call.signal("Aa0-_~" + "x" * 122, "é" * 4096, ack=True)
        assert len(at_bob) == 1

    run(scenario)


@pytest.mark.parametrize(
    "fields", [{"data": 5}, {"data": None}, {"type": 5}, {"to": 5}, {"retry_after_reconnect": 1}, {"ttl": "1"}]
)
def test_signal_of_another_type_is_an_error_of_the_program(fields: dict[str, object]) -> None:
    """VS-015, VS-018, VS-034."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        _, _, call, _ = await in_a_call(stack, hub)
        with pytest.raises(TypeError):
            await call.signal(**fields)  # type: ignore[arg-type]  # the point

    run(scenario)


def test_text_arrives_character_for_character() -> None:
    """VS-010."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        _, bob, call, _ = await in_a_call(stack, hub)
        at_bob = heard(bob)
        text = " \t\r\n\r <&>\"' \N{GRINNING FACE} \n "
        await call.signal("t", text, ack=True)
        assert at_bob[0].data == text

    run(scenario)


def test_participants_are_told_of_each_other() -> None:
    """VC-001, VC-002, VC-003."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob, call, theirs = await in_a_call(stack, hub)
        assert (call.peer(bob.user).joined, call.peer(bob.user).data) == (True, "bob's words")
        assert (theirs.peer(ann.user).joined, theirs.peer(ann.user).data) == (True, "ann's words")
        with pytest.raises(ValueError, match="at most 1000"):
            await ann.call("cat@example.org", data="x" * 1001)
        left = asyncio.ensure_future(call.wait_for(ParticipantLeft, timeout=PATIENCE))
        await asyncio.sleep(0)
        await theirs.hang_up()
        assert (await left).peer == bob.user
        assert not call.peer(bob.user).joined

    run(scenario)


def test_signal_of_a_call_that_is_over_fails() -> None:
    """VS-016, VS-019."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        _, _, call, _ = await in_a_call(stack, hub)
        await call.hang_up()
        with pytest.raises(SignalFailed) as caught:
            await call.signal("t", "late")
        assert caught.value.code == 404

    run(scenario)


def test_signals_wait_for_a_broken_link_and_withdrawn_ones_are_never_sent() -> None:
    """VS-026, VS-027, VS-028, VS-036, VS-037."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob, call, _ = await in_a_call(stack, hub)
        at_bob = heard(bob)
        told: list[Event] = []
        ann.on(Event)(told.append)
        (link,) = hub.online(ann.user)
        link.cut()
        await asyncio.sleep(0)
        first, never, second = (asyncio.ensure_future(call.signal("t", text)) for text in ("1", "never", "2"))
        with pytest.raises(SignalFailed) as caught:
            await call.signal("t", "now", retry_after_reconnect=False)
        assert caught.value.code == 500
        with pytest.raises(SignalFailed) as caught:
            await call.signal("a b")
        assert caught.value.code == 400
        await asyncio.sleep(0)
        never.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(first, second)
        await call.signal("t", "3", ack=True)
        assert [one.data for one in at_bob] == ["1", "2", "3"]

    run(scenario)
