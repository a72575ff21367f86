"""When a peer is asked, and what its silence means: on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qbcall.adapters.rtc_freshness import ASK_INTERVAL, CONSENT, LOST, PROBE_INTERVAL, QUIET, UNANSWERED, Freshness

NEVER = 1e9


class Watched:
    """What becomes of one peer: `hears` says when something of it comes in, `answers` when it answers."""

    def __init__(self, hears: Callable[[float], bool], answers: Callable[[float], bool], draw: float = 0.5) -> None:
        self.now = 100.0
        self.asked: list[float] = []
        self.freshness = Freshness(self.now, lambda: draw)
        self._hears = hears
        self._answers = answers

    def until(self, end: float, *, found: Callable[[Freshness], bool] = lambda _: False) -> float:
        """Go on until `found` holds, or to the end; seconds since the start."""
        look_at = self.now + self.freshness.pause(self.now)
        while self.now < 100 + end and not found(self.freshness):
            self.now += 0.01
            if self._hears(self.now - 100):
                self.freshness.heard(self.now, selected=True)
            if self.now >= look_at:
                self.freshness.look(self.now)
                if self.freshness.must_ask(self.now):
                    self.freshness.asked(self.now)
                    self.asked.append(self.now - 100)
                    if self._answers(self.now - 100):
                        self.freshness.answered(self.now)
                        self.freshness.heard(self.now, selected=True)
                look_at = self.now + self.freshness.pause(self.now)
        return self.now - 100


def always(now: float) -> bool:
    return True


def never(now: float) -> bool:
    return False


@pytest.mark.parametrize("draw", [0.0, 1.0])
def test_peer_that_is_heard_is_asked_about_every_five_seconds(draw: float) -> None:
    one = Watched(always, always, draw)
    one.until(600)
    pauses = [later - sooner for sooner, later in zip(one.asked, one.asked[1:], strict=False)]
    assert min(pauses) >= ASK_INTERVAL * 0.8 - 0.01
    assert max(pauses) <= ASK_INTERVAL * 1.2 + QUIET + 0.02
    assert not one.freshness.lost


def test_peer_that_sends_nothing_but_answers_is_not_lost_for_ten_minutes() -> None:
    one = Watched(never, always)
    assert one.until(600, found=lambda freshness: freshness.lost or freshness.is_broken(one.now)) >= 600
    assert len(one.asked) <= 600 / QUIET


def test_peer_that_vanishes_is_lost_within_a_second_and_asked_five_times_a_second() -> None:
    one = Watched(lambda now: now < 10, lambda now: now < 10)
    lost = one.until(20, found=lambda freshness: freshness.lost)
    assert 10 + LOST - 0.02 <= lost <= 10 + LOST + PROBE_INTERVAL + 0.02
    assert one.freshness.is_broken(one.now)
    one.until(20)
    assert len([now for now in one.asked if now >= 15]) >= 24


def test_peer_that_comes_back_is_told_once() -> None:
    one = Watched(never, never)
    one.until(5)
    assert one.freshness.heard(one.now, selected=False)
    assert not one.freshness.heard(one.now, selected=False)
    assert one.freshness.is_broken(one.now)
    one.freshness.answered(one.now)
    assert not one.freshness.is_broken(one.now)


def test_peer_that_is_heard_but_never_answers_makes_other_pairs_be_tried() -> None:
    one = Watched(always, lambda now: now < 20)
    broken = one.until(60, found=lambda freshness: freshness.is_broken(one.now))
    assert 20 + UNANSWERED <= broken <= 20 + ASK_INTERVAL * 1.2 + QUIET + UNANSWERED + 0.1
    assert not one.freshness.lost


def test_media_is_sent_for_as_long_as_an_answer_allows() -> None:
    one = Watched(always, lambda now: now < 20)
    stopped = one.until(90, found=lambda freshness: not freshness.may_send(one.now))
    assert 20 + CONSENT - ASK_INTERVAL * 1.2 - QUIET <= stopped <= 20 + CONSENT
    one.freshness.answered(one.now)
    assert one.freshness.may_send(one.now)


def test_process_that_was_held_up_finds_nobody_lost() -> None:
    """And nobody heard: a peer that is lost would be told to be back."""
    one = Watched(always, always)
    one.until(10)
    heard_at = one.freshness.heard_at
    one.freshness.look(one.now + 5)
    assert one.freshness.heard_at == heard_at
    assert not one.freshness.lost
    assert not one.freshness.is_broken(one.now + 5)
    assert one.freshness.must_ask(one.now + 5)


def test_address_that_is_gone_makes_other_pairs_be_tried_at_once() -> None:
    one = Watched(always, always)
    one.until(10)
    one.freshness.gone = True
    assert one.freshness.is_broken(one.now)
    one.freshness.selected(one.now)
    assert not one.freshness.is_broken(one.now)
