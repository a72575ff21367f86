"""Which plots a report has. Pure."""

from __future__ import annotations

from collections.abc import Callable

from qbcall.core.model import MediaKind, StatsReport, StreamStats
from qbcall.report.series import Figure, scaled

AUDIO, VIDEO = (MediaKind.AUDIO,), (MediaKind.VIDEO,)


def _stream(name: str, factor: float = 1.0) -> Callable[[StatsReport, StreamStats], float | None]:
    return lambda report, stream: scaled(getattr(stream, name), factor)


def _both(title: str, unit: str, name: str, factor: float = 1.0, **more: object) -> list[Figure]:
    read = _stream(name, factor)
    return [
        Figure(f"{title}, {direction}", unit, read, direction, **more)  # type: ignore[arg-type]  # fields of a figure
        for direction in ("received", "sent")
    ]


FIGURES: tuple[Figure, ...] = (
    *_both("Bit rate", "kbit/s", "bitrate", 1e-3, least=10.0),
    *_both("Pictures per second", "fps", "fps", kinds=VIDEO, least=10.0),
    *_both("Packets lost", "%", "loss", 100.0, least=1.0),
    *_both("Jitter", "ms", "jitter", 1e3, least=5.0),
    Figure("Round trip", "ms", lambda report, stream: scaled(report.round_trip, 1e3), least=5.0),
    Figure(
        "Standing picture", "% of the time", _stream("freeze_seconds"), "received", VIDEO, least=10.0, growing=100.0
    ),
    Figure("Sound, as it would be judged", "MOS", _stream("mos"), "received", AUDIO, low=1.0, least=5.0),
    Figure("Loudness, received", "% of full scale", _stream("audio_level", 100.0), "received", AUDIO, least=10.0),
    Figure("Delay of test cards", "ms", _stream("delay", 1e3), "received", VIDEO, least=20.0, optional=True),
)
"""In the order in which they are shown: two beside each other."""
