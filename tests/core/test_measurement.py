"""What follows from two measurements; missing values stay missing."""

from __future__ import annotations

import itertools
from dataclasses import fields

import pytest

from qbcall.core.measurement import COUNTS, added, with_rates
from qbcall.core.model import MediaKind, StatsReport, StreamStats

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO


def received(**figures: object) -> StatsReport:
    return StatsReport(round_trip=0.05, received={AUDIO: StreamStats(**figures)})  # type: ignore[arg-type]  # figures


def test_rates_are_over_the_time_between() -> None:
    """QB-139."""
    now = with_rates(received(bytes=3000, frames=150), received(bytes=1000, frames=50), 2.0).received[AUDIO]
    assert (now.bitrate, now.fps) == (8000, 50)


def test_loss_is_a_part_of_all_that_was_sent() -> None:
    before, now = received(packets=100, packets_lost=0), received(packets=190, packets_lost=10)
    assert with_rates(now, before, 1.0).received[AUDIO].loss == pytest.approx(0.1)


def test_loss_of_what_is_sent_is_what_the_receiver_says() -> None:
    """Its reports come at times of its own: their losses belong to no interval of ours."""
    ours = StatsReport(sent={VIDEO: StreamStats(packets=200, packets_lost=20, loss=0.05)})
    were = StatsReport(sent={VIDEO: StreamStats(packets=190)})
    assert with_rates(ours, were, 1.0).sent[VIDEO].loss == 0.05


@pytest.mark.parametrize(("packets", "lost"), [(100, 0), (100, -5), (0, 0)])
def test_loss_is_never_negative_and_unknown_without_packets(packets: int, lost: int) -> None:
    """A packet that was repeated is one less that is lost."""
    loss = with_rates(received(packets=packets, packets_lost=lost), received(packets=0), 1.0).received[AUDIO].loss
    assert loss == (0.0 if packets else None)


def test_sound_is_judged_and_pictures_are_not() -> None:
    """QB-139."""
    now = with_rates(received(packets=100, packets_lost=0, jitter=0.001), StatsReport(), 1.0)
    assert (now.received[AUDIO].mos or 0) > 4
    picture = StatsReport(round_trip=0.05, received={VIDEO: StreamStats(packets=9, packets_lost=0)})
    assert with_rates(picture, StatsReport(), 1.0).received[VIDEO].mos is None


def test_no_time_between_changes_nothing() -> None:
    now = received(bytes=5)
    assert with_rates(now, StatsReport(), 0.0) is now


@pytest.mark.parametrize(
    ("now", "before"), list(itertools.product([StatsReport(), received(), received(packets=1, bytes=1)], repeat=2))
)
def test_missing_figures_stay_missing_and_never_raise(now: StatsReport, before: StatsReport) -> None:
    """QB-139."""
    rated = with_rates(now, before, 1.0)
    for stream in rated.received.values():
        assert (stream.fps, stream.loss, stream.mos) == (None, None, None)
    assert rated.summary
    assert added(before, now).w3c()


def test_counts_of_connections_are_added_and_states_are_of_the_newest() -> None:
    whole = added(
        received(packets=5, freezes=1, nacks=2, codec="opus", jitter=0.3),
        received(packets=2, freezes=None, nacks=1, jitter=0.1),
    ).received[AUDIO]
    assert (whole.packets, whole.freezes, whole.nacks) == (7, 1, 3)
    assert (whole.codec, whole.jitter) == ("opus", 0.1)


def test_counts_are_figures() -> None:
    assert set(COUNTS) <= {field.name for field in fields(StreamStats)}


@pytest.mark.parametrize(
    ("local", "remote", "relayed"),
    [("host", "host", False), ("relay", "host", True), ("srflx", "relay", True), (None, None, None)],
)
def test_path_through_a_turn_server_is_told(local: str | None, remote: str | None, relayed: bool | None) -> None:
    """QB-139."""
    assert StatsReport(local_candidate=local, remote_candidate=remote).relayed is relayed
