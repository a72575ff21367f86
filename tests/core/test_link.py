"""The chat link: made, broken, made again, given up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qbcall.core import events as ev
from qbcall.core.effects import DialLink, DropLink, Emit
from qbcall.core.engine import Engine
from qbcall.core.inputs import CreateCall, GoOffline, GoOnline, LinkBroke, LinkUp
from qbcall.core.link import LinkState
from qbcall.core.model import CallId, CallMedia, Device, User
from qbcall.core.policy import Policy
from qbcall.errors import AuthError, InvalidState, LinkDown, LinkError
from tests.core.world import World

UP = LinkUp(device=Device("A/1"))
BROKE = LinkBroke(reason=LinkError("cut"), fatal=False)
REFUSED = LinkBroke(reason=AuthError("no"), fatal=True)


def engine(policy: Policy | None = None, jitter: Callable[[], float] = lambda: 0.5) -> Engine:
    """An engine that was told nothing."""
    return Engine(User("A"), policy or Policy(), leads=lambda one, other: one > other, jitter=jitter)


def online(policy: Policy | None = None, jitter: Callable[[], float] = lambda: 0.5) -> Engine:
    """An engine that is logged in."""
    made = engine(policy, jitter)
    made.handle(GoOnline(), 0.0)
    made.handle(UP, 0.0)
    return made


def test_first_login_is_told_as_online() -> None:
    made = engine()
    assert made.handle(GoOnline(), 0.0) == [DialLink()]
    (emit,) = made.handle(UP, 1.0)
    assert emit == Emit(ev.LinkOnline(device="A/1"))
    assert made.link.online


def test_first_login_that_fails_is_not_repeated() -> None:
    for broke in (BROKE, REFUSED):
        made = engine()
        made.handle(GoOnline(), 0.0)
        assert made.handle(broke, 1.0) == [Emit(ev.LinkLost(error=broke.reason))]
        assert made.next_deadline() is None
        assert made.handle(GoOnline(), 2.0) == [DialLink()]


def test_logging_in_twice_is_refused() -> None:
    """QB-004."""
    made = engine()
    made.handle(GoOnline(), 0.0)
    for state in ("connecting", "online", "waiting"):
        with pytest.raises(InvalidState, match=state):
            made.handle(GoOnline(), 1.0)
        made.handle(UP if state == "connecting" else BROKE, 1.0)


def test_broken_link_is_made_again_after_a_pause() -> None:
    """VR-002, VR-003, CH-001."""
    made = online()
    assert made.handle(BROKE, 10.0) == [Emit(ev.LinkReconnecting(reason="cut"))]
    assert made.next_deadline() == 11.0
    assert made.advance(11.0) == [DialLink()]
    assert made.handle(UP, 11.5) == [Emit(ev.LinkReconnected())]
    assert made.next_deadline() is None


def test_pauses_double_up_to_eight_times_and_the_link_is_lost_after_the_window() -> None:
    """VR-004, VR-005."""
    made = online(Policy(reconnect_window=60.0))
    made.handle(BROKE, 0.0)
    dialled = []
    told: list[object] = []
    while (at := made.next_deadline()) is not None:
        effects = made.advance(at)
        told += effects
        if effects == [DialLink()]:
            dialled.append(at)
            told += made.handle(BROKE, at)
    assert dialled == [1, 3, 7, 15, 23, 31, 39, 47, 55]
    assert told[-2] == DropLink()
    assert "did not come back within 60 s" in str(told[-1])
    assert sum(effect == Emit(ev.LinkReconnecting(reason="cut")) for effect in told) == 0
    assert made.link.region.state is LinkState.OFFLINE


def test_pauses_are_short_again_after_each_way_to_end_them() -> None:
    endings: tuple[Callable[[Engine], object], ...] = (
        lambda made: made.handle(UP, 9.0),
        lambda made: [made.handle(REFUSED, 9.0), made.handle(GoOnline(), 9.0), made.handle(UP, 9.0)],
        lambda made: [made.handle(GoOffline(), 9.0), made.handle(GoOnline(), 9.0), made.handle(UP, 9.0)],
        lambda made: [made.advance(30.0), made.handle(GoOnline(), 30.0), made.handle(UP, 30.0)],
    )
    for ending in endings:
        made = online()
        made.handle(BROKE, 0.0)
        for at in (1.0, 3.0):
            made.advance(at)
            made.handle(BROKE, at)
        made.advance(7.0)
        ending(made)
        assert made.link.online
        made.handle(BROKE, 100.0)
        assert made.next_deadline() == 101.0


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_pauses_vary_by_half(jitter: float, pause: float) -> None:
    made = online(jitter=lambda: jitter)
    made.handle(BROKE, 0.0)
    assert made.next_deadline() == pause


def test_refused_login_is_not_repeated() -> None:
    """VR-012."""
    for again in (False, True):
        made = online()
        if again:
            made.handle(BROKE, 0.0)
            made.advance(1.0)
        assert made.handle(REFUSED, 1.0) == [Emit(ev.LinkLost(error=REFUSED.reason))]
        assert made.next_deadline() is None


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4])
def test_logging_out_ends_all_attempts(steps: int) -> None:
    """VR-009, VR-010, CH-003."""
    made = engine()
    doings: list[Callable[[], object]] = [
        lambda: made.handle(GoOnline(), 0.0),
        lambda: made.handle(UP, 0.0),
        lambda: made.handle(BROKE, 0.0),
        lambda: made.advance(1.0),
    ]
    for doing in doings[:steps]:
        doing()
    assert made.handle(GoOffline(), 1.0) == ([DropLink()] if steps else [])
    assert made.next_deadline() is None
    for late in (UP, BROKE):
        assert made.handle(late, 2.0) == []


def test_logging_out_while_logged_out_does_nothing() -> None:
    made = engine()
    assert made.handle(GoOffline(), 0.0) == []
    assert made.handle(LinkUp(device=Device("A/1")), 0.0) == []


def test_late_news_of_an_attempt_that_was_given_up_is_ignored() -> None:
    made = online()
    assert made.handle(UP, 1.0) == []
    made.handle(BROKE, 1.0)
    assert made.handle(BROKE, 1.0) == []
    assert made.handle(UP, 1.0) == []
    assert made.next_deadline() == 2.0


def test_new_policy_holds_for_the_next_pause() -> None:
    made = online()
    made.policy = Policy(backoff=4.0)
    made.handle(BROKE, 0.0)
    assert made.next_deadline() == 4.0


def test_window_of_no_length_loses_the_link_at_once() -> None:
    """CH-002."""
    world = World("A", policy=Policy(reconnect_window=0.0))
    world.unlink("A")
    world.run(0.0)
    assert world.told("A", ev.LinkEvent)[-1].startswith("LinkLost")
    world.assert_silence()


def test_time_never_runs_backwards() -> None:
    made = online()
    made.handle(BROKE, 100.0)
    assert made.advance(50.0) == []
    assert made.next_deadline() == 101.0
    made.handle(GoOffline(), 50.0)


def test_calling_without_link_raises() -> None:
    """QB-001."""
    with pytest.raises(LinkDown):
        engine().handle(CreateCall(call=CallId("1"), callees=(User("B"),), media=CallMedia.AUDIO), 0.0)
