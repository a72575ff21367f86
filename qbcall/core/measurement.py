"""What follows from two measurements of a connection, and from those of several. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qbcall.core.emodel import mos
from qbcall.core.model import MediaKind, StatsReport, StreamStats

Streams = Mapping[MediaKind, StreamStats]

COUNTS = (
    "packets",
    "bytes",
    "packets_lost",
    "frames",
    "frames_decoded",
    "frames_dropped",
    "frames_concealed",
    "freezes",
    "freeze_seconds",
    "nacks",
    "plis",
)
"""Figures that only grow."""
LASTING = ("codec", "width", "height")
"""Those that are kept from the connection before while they are not known."""


def with_rates(now: StatsReport, before: StatsReport, seconds: float) -> StatsReport:
    """The report with bit rates, frame rates, losses and scores over the time since another one."""
    if seconds <= 0:
        return now
    sent = {kind: _rated(one, before.sent.get(kind), seconds) for kind, one in now.sent.items()}
    received = {
        kind: replace(_rated(one, before.received.get(kind), seconds), loss=_loss(one, before.received.get(kind)))
        for kind, one in now.received.items()
    }
    return replace(now, sent=_judged(sent, now.round_trip), received=_judged(received, now.round_trip))


def added(before: StatsReport, now: StatsReport) -> StatsReport:
    """The state now, with the counts of the connections before."""
    return StatsReport(
        round_trip=now.round_trip,
        local_candidate=now.local_candidate or before.local_candidate,
        remote_candidate=now.remote_candidate or before.remote_candidate,
        sent=_added(before.sent, now.sent),
        received=_added(before.received, now.received),
    )


def _added(before: Streams, now: Streams) -> Streams:
    streams = {**before, **now}
    for kind in before.keys() & now.keys():
        old, new = before[kind], now[kind]
        told = {name: (getattr(old, name), getattr(new, name)) for name in (*COUNTS, *LASTING)}
        sums = {name: both[0] + both[1] for name, both in told.items() if name in COUNTS and None not in both}
        kept = {name: was for name, (was, value) in told.items() if value is None}
        streams[kind] = replace(new, **kept, **sums)
    return streams


def _rated(now: StreamStats, before: StreamStats | None, seconds: float) -> StreamStats:
    was = before or StreamStats()
    return replace(
        now,
        bitrate=_rate(now.bytes, was.bytes, seconds / 8),
        fps=_rate(now.frames, was.frames, seconds),
    )


def _rate(now: int | None, before: int | None, seconds: float) -> float | None:
    return None if now is None else max(0, now - (before or 0)) / seconds


def _loss(now: StreamStats, before: StreamStats | None) -> float | None:
    """Of all packets that were sent: those that came, and those that were lost."""
    if now.packets_lost is None or now.packets is None:
        return None
    was = before or StreamStats()
    lost = now.packets_lost - (was.packets_lost or 0)
    whole = now.packets - (was.packets or 0) + lost
    return min(max(lost / whole, 0.0), 1.0) if whole > 0 else None


def _judged(streams: Streams, round_trip: float | None) -> Streams:
    sound = streams.get(MediaKind.AUDIO)
    if sound is None:
        return streams
    return {**streams, MediaKind.AUDIO: replace(sound, mos=mos(round_trip, sound.jitter, sound.loss))}
