"""Reports of real calls between two clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import jsonschema
import pytest

from qbcall import Call, CallFailed, EndReason, InvalidArgument, MediaKind, MemoryHub, SinkError, Stats
from qbcall.core import events as ev
from qbcall.core.model import Health, PeerState, Reception
from qbcall.report import CallReport, document
from qbcall.report.listener import MOST_CHANGES, MOST_EVENTS, MOST_TEXT
from qbcall.report.page import page
from tests.report.test_page import Reader
from tests.test_client import PATIENCE, answering, clients, run

VIDEO = MediaKind.VIDEO


async def until(call: Call, holds: Callable[[], bool]) -> None:
    """Wait until it holds, at some measurement."""
    await call.wait_for(Stats, timeout=PATIENCE, where=lambda _: holds())


def test_call_is_reported_by_both_sides(tmp_path: Path) -> None:
    """QB-139: nothing is decoded for a report: who looks at nobody has figures, and no pictures."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob", stats_interval=0.1)
        theirs: list[CallReport] = []

        async def answer(call: Call) -> None:
            theirs.append(CallReport(call, interval=0.1))
            await call.accept({"name": "<b>bob</b>"}, sinks=[lambda user, frame: None])

        served = answering(bob, answer)
        call = await ann.call(bob.user)
        report = CallReport(call, interval=0.1, picture_interval=0.2)
        await call.connected(PATIENCE)
        await served
        await until(call, lambda: len(report.document().peers[0].samples) > 3)
        other = (await served).peer(ann.user)
        await until(call, lambda: len(theirs[0].document().peers[0].pictures) > 0 and other.stats is not None)
        assert report.document().end_reason is None
        await call.hang_up()
        await call.ended()
        await (await served).ended()
        for name, one in (("ann", report), ("bob", theirs[0])):
            one.write(tmp_path / f"{name}.html")
            one.write(str(tmp_path / f"{name}.json"))
        told = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("ann", "bob")}
        for one in told.values():
            jsonschema.Draft202012Validator(document.schema()).validate(one)
            (peer,) = one["peers"]
            assert [change["state"] for change in one["states"]][-2:] == ["connected", "closed"]
            assert [change["state"] for change in peer["states"]][-1] == "closed"
            assert {change["state"] for change in peer["states"]} >= {"connecting", "connected"}
            assert peer["total"]["received"]["video"]["frames"] > 0
            assert any(sample["report"]["received"]["video"]["fps"] for sample in peer["samples"][1:])
            assert one["connected_at"] <= peer["samples"][0]["at"] <= one["duration"]
            times = [sample["at"] for sample in peer["samples"]]
            assert times == sorted(times)
        assert (told["ann"]["end_reason"], told["bob"]["end_reason"]) == ("hung_up", "remote_hung_up")
        assert told["ann"]["peers"][0]["pictures"] == []
        assert told["ann"]["peers"][0]["total"]["received"]["video"]["frames_decoded"] == 0
        text = "".join(Reader((tmp_path / "ann.html").read_text()).words)
        assert "name=<b>bob</b>" in text
        assert "img" in Reader((tmp_path / "bob.html").read_text()).tags

    run(scenario)


def test_call_that_failed_is_reported() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        answering(bob, lambda call: call.reject({"why": "no"}))
        call = await ann.call(bob.user)
        report = CallReport(call)
        with pytest.raises(CallFailed):
            await call.connected(PATIENCE)
        told = report.document()
        assert (told.end_reason, told.connected_at) == (EndReason.REJECTED, None)
        assert told.peers[0].samples == ()
        assert "rejected" in report.html()
        assert "PeerRejected" in {one.event for one in told.events}
        late = CallReport(call).document()
        assert late.end_reason is EndReason.REJECTED

    run(scenario)


def test_what_signals_say_is_not_told_and_other_words_are_cut() -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        served = answering(bob, lambda call: call.accept())
        call = await ann.call(bob.user)
        report = CallReport(call)
        await call.connected(PATIENCE)
        await served
        await call.signal("chat", "secret", ack=True)
        report._note(ev.PeerUpdated(call=call.id, peer=bob.user, info={"k": "v" * 1000}))
        told = report.document()
        assert "secret" not in report.json()
        assert {len(one.fields["info"]) for one in told.events if one.event == "PeerUpdated"} == {MOST_TEXT + 1}
        for _ in range(MOST_EVENTS):
            report._note(ev.PeerUpdated(call=call.id, peer=bob.user, info={"k": "v"}))
        assert len(report.document().events) == MOST_EVENTS
        assert report.document().events_left_out > 0
        assert "that are left out" in report.html()

    run(scenario)


def test_states_that_change_without_end_take_little_room() -> None:
    """Whoever is in the call makes as many changes as they like; how it ended is known all the same."""

    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        ann, bob = await clients(stack, hub, "ann", "bob")
        call = await ann.call(bob.user)
        report = CallReport(call)
        before = report.document()
        ok, bad, last = Health.OK, Health.DEGRADED, Health.LOST
        back, forth, end = PeerState.CONNECTED, PeerState.DISCONNECTED, PeerState.CLOSED
        flows, stalls, silent = Reception.FLOWING, Reception.STALLED, Reception.SILENT
        for place in range(MOST_CHANGES + 10):
            turn = -1 if place == MOST_CHANGES + 9 else place % 2
            for event in (
                ev.HealthChanged(call=call.id, old=ok, new=(ok, bad, last)[turn]),
                ev.PeerStateChanged(call=call.id, peer=bob.user, old=back, new=(back, forth, end)[turn]),
                ev.DirectionChanged(
                    call=call.id, peer=bob.user, kind=VIDEO, old=flows, new=(flows, stalls, silent)[turn]
                ),
            ):
                report._note(event)
        told = report.document()
        (peer,) = told.peers
        for changes, final in (
            (told.health, "lost"),
            (peer.states, "closed"),
            (peer.received[VIDEO], "silent"),
        ):
            assert len(changes) == MOST_CHANGES
            assert changes[-1].state == final
        known = len(before.health) + len(before.peers[0].states)
        assert told.changes_left_out == 30 + known
        assert f"{told.changes_left_out} changes, before the newest ones, are left out" in report.html()
        assert "changes, before" not in page(before)
        await call.hang_up()
        await call.ended()

    run(scenario)


def test_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    async def scenario(stack: AsyncExitStack, hub: MemoryHub) -> None:
        (ann,) = await clients(stack, hub, "ann")
        call = await ann.call("bob@example.org")
        report = CallReport(call)
        with pytest.raises(InvalidArgument, match=r"a\.txt"):
            report.write(tmp_path / "a.txt")
        with pytest.raises(SinkError, match="gone"):
            report.write(tmp_path / "gone" / "a.html")
        await call.hang_up()
        await call.ended()

    run(scenario)
