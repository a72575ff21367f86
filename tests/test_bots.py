"""Bots: they answer, echo, record and call by script."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import av
import pytest

from qbcall import (
    Call,
    CallFailed,
    CallMedia,
    EndReason,
    ExpectationFailed,
    InvalidArgument,
    InvalidState,
    MemoryHub,
    PcmSource,
    Rejected,
)
from qbcall.bots import (
    Answer,
    Echo,
    Record,
    ScriptedCaller,
    expect_frames,
    load,
    mute,
    serve,
    show,
    tell,
)
from tests.test_client import PATIENCE, SMALL, clients, name_on, picture, run


def test_an_echo_sends_back_the_picture_and_sound_it_gets() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        serving = asyncio.create_task(serve(bob, Echo(), calls=1))
        await asyncio.sleep(0)
        async with ann.call(bob.user) as call:
            await call.connected(PATIENCE)
            await expect_frames(5, within=PATIENCE)(call)
            await picture(call.peer(bob.user).video, lambda frame: name_on(frame) == "ann")
        await serving

    run(scenario)


def test_a_recording_of_each_caller_can_be_played(tmp_path: Path) -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        serving = asyncio.create_task(serve(bob, Record(str(tmp_path)), calls=1))
        await asyncio.sleep(0)
        async with ann.call(bob.user) as call:
            await call.connected(PATIENCE)
            await expect_frames(10, within=PATIENCE)(call)
        await serving
        (file,) = (tmp_path / call.id).iterdir()
        with av.open(str(file)) as container:
            assert {stream.type for stream in container.streams} == {"audio", "video"}
            assert any(name_on(frame) == "ann" for frame in container.decode(video=0))

    run(scenario)


def test_a_scripted_caller_does_its_steps_and_hangs_up() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        ended: list[EndReason] = []

        async def bot(call: Call) -> None:
            await Answer(source=SMALL)(call)
            ended.append(await call.ended())

        serving = asyncio.create_task(serve(bob, bot, calls=1))
        await asyncio.sleep(0)
        steps = [expect_frames(2, within=PATIENCE), mute("audio"), show("silence"), tell(mood="fine")]
        await serve(ann, ScriptedCaller([bob.user], steps, info={"who": "script"}))
        await serving
        assert ended == [EndReason.REMOTE_HUNG_UP]

    run(scenario)


def test_an_expectation_that_is_not_met_is_raised() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        serving = asyncio.create_task(serve(bob, Answer(source="none"), calls=1))
        await asyncio.sleep(0)
        with pytest.raises(ExpectationFailed):
            await serve(ann, ScriptedCaller([bob.user], [expect_frames(2, within=0.01)], media=CallMedia.AUDIO))
        await serving

    run(scenario)


def test_a_bot_that_breaks_ends_its_call_and_is_told() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")

        async def broken(call: Call) -> None:
            raise RuntimeError("mistake of the bot")

        serving = asyncio.create_task(serve(bob, broken, calls=1))
        await asyncio.sleep(0)
        with pytest.raises(Rejected):
            await (await ann.call(bob.user)).connected(PATIENCE)
        with pytest.raises(ExceptionGroup) as caught:
            await serving
        assert caught.group_contains(RuntimeError, match="mistake of the bot")

    run(scenario)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("qbcall.bots", "MODULE:OBJECT"),
        ("no_such_module:bot", "no_such_module"),
        ("qbcall.bots:NoSuchBot", "NoSuchBot"),
        ("qbcall.bots:MIRROR_LIMITS", "neither"),
        ("qbcall.bots:Record", "directory"),
    ],
)
def test_a_wrong_name_of_a_bot_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        load(name)


def test_a_class_is_made_into_a_bot() -> None:
    assert isinstance(load("qbcall.bots:Echo"), Echo)


def test_a_bot_that_asks_something_of_a_call_that_just_ended_does_not_break() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")

        async def talker(call: Call) -> None:
            voice = PcmSource()
            await call.accept(source=voice)
            while True:
                await voice.write(bytes(640))

        serving = asyncio.create_task(serve(bob, talker, calls=1))
        await asyncio.sleep(0)
        async with ann.call(bob.user, media=CallMedia.AUDIO) as call:
            await call.connected(PATIENCE)
        await serving

        async def hasty(call: Call) -> None:
            call.mute("audio")  # before it was accepted

        serving = asyncio.create_task(serve(bob, hasty, calls=1))
        await asyncio.sleep(0)
        with pytest.raises(CallFailed):
            async with ann.call(bob.user, media=CallMedia.AUDIO) as call:
                await call.connected(PATIENCE)
        with pytest.raises(ExceptionGroup) as told:
            await serving
        assert isinstance(told.value.exceptions[0], InvalidState)

    run(scenario)
