"""What the demo knows: one row for each direction of the mesh, folded from the JSON lines of its participants."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from qbcall.demo_file import SIMILAR, Original

Json = Mapping[str, object]

ENOUGH_CARDS = 0.9
"""Part of the received pictures whose bar code must be readable."""
ENOUGH_FRAMES = 15
"""Pictures that a direction must deliver at least."""


@dataclass
class Direction:
    """What one participant gets of another."""

    sender: str
    receiver: str
    state: str = "new"
    codec: str = "-"
    size: str = "-"
    fps: float | None = None
    bitrate: float | None = None
    """Bits per second, picture and sound."""
    round_trip: float | None = None
    """Seconds."""
    reception: dict[str, str] = field(default_factory=dict)
    """What becomes of each kind of media."""
    findings: dict[str, object] = field(default_factory=dict)
    """What the receiver's `verify` sink found; empty before the call ended."""

    original: Original | None = None
    """The media file that the sender plays instead of the test card."""

    @property
    def shown(self) -> str:
        """State of the connection, or what does not come over it."""
        faults = (f"{kind} {state}" for kind, state in self.reception.items() if state in ("silent", "stalled"))
        return next(faults, self.state) if self.state == "connected" else self.state

    @property
    def problems(self) -> list[str]:
        """Why this direction did not deliver what was sent; empty: it did."""
        if not self.findings:
            return ["nothing was received"]
        rules = self._card_rules() if self.original is None else self._file_rules(self.original)
        return [problem for holds, problem in rules if not holds]

    def _card_rules(self) -> Iterator[tuple[bool, str]]:
        found = self.findings
        frames, cards = _number(found, "video_frames"), _number(found, "cards")
        yield frames >= ENOUGH_FRAMES, f"only {frames} pictures"
        yield cards >= ENOUGH_CARDS * frames, f"only {cards} of {frames} pictures could be read"
        yield found.get("name") == self.sender, f"the pictures name {found.get('name')!r}"
        yield _number(found, "out_of_order") == 0, f"{found.get('out_of_order')} pictures out of order"
        yield bool(found.get("tone_ok")), f"the tone is {found.get('tone')} Hz, not {found.get('tone_expected')} Hz"

    def _file_rules(self, original: Original) -> Iterator[tuple[bool, str]]:
        found = self.findings
        if original.has_picture:
            frames, distance = _number(found, "video_frames"), found.get("distance")
            yield frames >= ENOUGH_FRAMES, f"only {frames} pictures"
            similar = isinstance(distance, float) and distance < SIMILAR
            yield similar, f"the picture is none of the file (distance {distance})"
        if original.has_sound:
            yield _number(found, "audio_frames") >= ENOUGH_FRAMES, f"only {found.get('audio_frames')} blocks of sound"
            yield found.get("tone") is not None, "silence"


def _number(found: Json, key: str) -> int:
    value = found.get(key)
    return value if isinstance(value, int) else 0


class Changed:
    """Wakes whoever waits for a change."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something changed."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Until something changes."""
        await self._next.wait()


class Board:
    """All directions of a mesh."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.directions = {
            (sender, receiver): Direction(sender, receiver) for sender, receiver in permutations(names, 2)
        }
        self.online: set[str] = set()
        """Participants that are logged in."""
        self.changed = Changed()
        self.trouble: list[str] = []
        """What participants reported as errors."""

    @property
    def ok(self) -> bool:
        """Whether every direction delivered what was sent."""
        return not self.trouble and not any(direction.problems for direction in self.directions.values())

    def feed(self, who: str, line: Json) -> None:
        """Take over a JSON line of a participant."""
        self.changed.tell()
        match line:
            case {"type": "link.online"}:
                self.online.add(who)
            case {"type": "peer.state", "peer": str(peer), "new": str(state)}:
                self._direction(peer, who).state = state
            case {"type": "peer.direction", "peer": str(peer), "kind": str(kind), "new": str(new)}:
                self._direction(peer, who).reception[kind] = new
            case {"type": "stats", "peer": str(peer), "report": dict(report)}:
                self._fold_stats(self._direction(peer, who), report)
            case {"type": "call.ended", "peers": dict(peers)}:
                for peer, summary in peers.items():
                    self._fold_reports(self._direction(peer, who), summary.get("reports", ()))
            case {"type": "exit", "code": int(code), "error": error} if code:
                self.trouble.append(f"{who}: exit code {code}: {error or 'no reason given'}")

    def compare(self, sender: str, original: Original, pictures: Path, name: str) -> None:
        """Compare what arrived of a sender, `pictures/RECEIVER/NAME`, with the file that it played."""
        for (who, receiver), direction in self.directions.items():
            if who == sender:
                direction.original = original
                if direction.findings:
                    direction.findings["distance"] = original.distance(pictures / receiver / name)

    def table(self, title: str) -> Table:
        """The board, for people; fits into 80 columns."""
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for name in ("to", "from", "state", "codec", "size"):
            table.add_column(name, no_wrap=True)
        for name in ("fps", "kbit/s", "round trip", "checked"):
            table.add_column(name, justify="right", no_wrap=True)
        for receiver in self.names:
            for sender in self.names:
                if sender != receiver:
                    table.add_row(*_cells(self.directions[sender, receiver]))
        return table

    def summary(self, seconds: float) -> dict[str, object]:
        """The board, for programs."""
        return {
            "ok": self.ok,
            "seconds": round(seconds, 2),
            "participants": list(self.names),
            "trouble": self.trouble,
            "directions": [
                {
                    "sender": direction.sender,
                    "receiver": direction.receiver,
                    "ok": not direction.problems,
                    "problems": direction.problems,
                    "codec": direction.codec,
                    "size": direction.size,
                    "fps": direction.fps,
                    "bitrate": direction.bitrate,
                    "round_trip": direction.round_trip,
                    "findings": direction.findings,
                }
                for direction in self.directions.values()
            ],
        }

    def _direction(self, peer: str, receiver: str) -> Direction:
        return self.directions[peer.partition("@")[0], receiver]

    def _fold_stats(self, direction: Direction, report: Json) -> None:
        direction.round_trip = _float(report.get("round_trip")) or direction.round_trip
        received = report.get("received")
        if not isinstance(received, Mapping):
            return
        rates = [rate for stream in received.values() if (rate := _float(stream.get("bitrate"))) is not None]
        direction.bitrate = sum(rates) if rates else direction.bitrate
        video = received.get("video") or {}
        direction.fps = _float(video.get("fps")) or direction.fps
        if video.get("width"):
            direction.size = f"{video['width']}x{video['height']}"
        codecs = [stream.get("codec") for stream in (video, received.get("audio") or {})]
        direction.codec = "+".join(str(codec) for codec in codecs if codec) or direction.codec

    def _fold_reports(self, direction: Direction, reports: Iterable[object]) -> None:
        for report in reports:
            if isinstance(report, Mapping) and "cards" in report:
                direction.findings = dict(report)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


COLOURS = {"connected": "green", "closed": "dim", "failed": "bold red", "disconnected": "bold red"}


def _cells(row: Direction) -> tuple[str, ...]:
    return (
        row.receiver,
        row.sender,
        f"[{COLOURS.get(row.shown, 'yellow')}]{row.shown}[/]",
        row.codec,
        row.size,
        _shown(row.fps),
        _shown(row.bitrate, 1e-3),
        f"{_shown(row.round_trip, 1e3)} ms",
        _checked(row),
    )


def _checked(row: Direction) -> str:
    found = row.findings
    if not found:
        return "-"
    if row.problems:
        return f"[bold red]{row.problems[0]}[/]"
    if row.original is not None:
        return f"[green]{found['video_frames']} alike[/]"
    return f"[green]{found['cards']} + {found['tone']:.0f} Hz[/]"


def _shown(value: float | None, scale: float = 1.0) -> str:
    return "-" if value is None else f"{value * scale:.0f}"
