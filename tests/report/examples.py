"""Documents of calls that never were."""

from __future__ import annotations

from dataclasses import replace

from qbcall.core.model import CallId, CallMedia, EndReason, MediaKind, StatsReport, StreamStats, User
from qbcall.report.document import Change, Document, Happening, PeerPart, Picture, Sample

AUDIO, VIDEO = MediaKind.AUDIO, MediaKind.VIDEO
ANN, BOB, CAT = User("ann@example.org"), User("bob@example.org"), User("cat@example.org")
PIXEL = "/9j/4AAQSkZJRg=="


def stream(**figures: object) -> StreamStats:
    return StreamStats(**figures)  # type: ignore[arg-type]  # figures of the test


def measured(at: float, **figures: object) -> Sample:
    """One sample in which both directions of both kinds have these figures."""
    streams = {kind: stream(**figures) for kind in MediaKind}
    return Sample(at=at, report=StatsReport(round_trip=0.02, sent=streams, received=streams))


FULL = measured(
    2.0,
    bitrate=64000.0,
    packets=100,
    bytes=8000,
    packets_lost=1,
    loss=0.01,
    jitter=0.003,
    codec="VP8",
    frames=30,
    frames_decoded=28,
    frames_dropped=1,
    frames_concealed=2,
    freezes=1,
    freeze_seconds=0.4,
    nacks=3,
    plis=1,
    fps=15.0,
    width=640,
    height=480,
    audio_level=0.2,
    delay=0.08,
    mos=4.2,
)


def peer(user: str = BOB, *samples: Sample, **more: object) -> PeerPart:
    return PeerPart(user=User(user), samples=samples, **more)  # type: ignore[arg-type]  # fields of the test


def document(*peers: PeerPart, **more: object) -> Document:
    known = Document(
        qbcall="0.1.0",
        call=CallId("c1"),
        me=ANN,
        caller=ANN,
        callees=(BOB,),
        media=CallMedia.VIDEO,
        started="2026-11-21T10:00:00.000Z",
        duration=10.0,
        peers=peers,
    )
    return replace(known, **more)  # type: ignore[arg-type]  # fields of the test


def whole() -> Document:
    """A call in which everything is known."""
    states = tuple(
        Change(at=at, state=state) for at, state in ((0.1, "pending"), (1.0, "connected"), (9.0, "closed"))
    )
    flow = {kind: (Change(at=1.0, state="flowing"), Change(at=6.0, state="stalled")) for kind in MediaKind}
    bob = peer(
        BOB,
        replace(FULL, at=1.0),
        FULL,
        replace(FULL, at=3.0),
        states=states,
        received=flow,
        end_reason=EndReason.HUNG_UP,
        accepted_at=0.5,
        connected_at=1.0,
        total=FULL.report,
        pictures=(Picture(at=2.0, width=160, height=120, jpeg=PIXEL),),
    )
    told = Happening(at=9.0, event="PeerHungUp", peer=BOB, fields={"info": "why=done"})
    return document(bob, peer(CAT), states=states, health=(Change(at=1.0, state="ok"),), events=(told,))
