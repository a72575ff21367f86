"""The report as one HTML page that needs nothing else: no network, no scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qbcall.core.model import MediaKind, StatsReport, StreamStats
from qbcall.report.axes import exact, number
from qbcall.report.document import Document, Happening, PeerPart
from qbcall.report.figures import FIGURES
from qbcall.report.markup import Markup, element, joined, name_of
from qbcall.report.series import Figure, Line, bands, lines, scaled
from qbcall.report.style import STYLE
from qbcall.report.svg import Row, plot, states, summed_up, swatch

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may load for the page (CSP 3): nothing that is not in it."""
SHORTEST = 1.0
"""Seconds that a time axis has at least."""
CLASSES = {
    **dict.fromkeys(("connected", "flowing", "ok"), "ok"),
    **dict.fromkeys(("pending", "connecting", "checking", "silent", "degraded"), "wait"),
    **dict.fromkeys(("disconnected", "failed", "stalled", "lost", "disconnect_timeout"), "bad"),
}
"""State -> class of CSS; others are `idle`."""


def page(document: Document) -> str:
    """The page."""
    others = ", ".join(peer.user for peer in document.peers)
    title = f"Call of {document.me} with {others}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    main = element(
        "main", _states(document), _users(document), _plots(document), _pictures(document), _events(document)
    )
    foot = element("footer", f"Written by qbcall {document.qbcall}. Call {document.call}.")
    body = element("body", _header(document), main, foot)
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


# -- sections --------------------------------------------------------------------------------------------------------


def _header(document: Document) -> Markup:
    names = joined(*_between(", ", [name_of(peer.user) for peer in document.peers]))
    facts: dict[str, object] = {
        "Caller": name_of(document.caller),
        "Media": {"audio": "sound", "video": "picture and sound"}[document.media.value],
        "Begun": document.started.replace("T", " ").replace("Z", " UTC"),
        "Lasted": exact(document.duration),
        "Connected after": "never" if document.connected_at is None else f"{document.connected_at:.2f} s",
        "End": document.end_reason.value.replace("_", " ") if document.end_reason else "goes on",
    }
    told = [element("div", element("dt", key), element("dd", value)) for key, value in facts.items()]
    return element("header", element("h1", "Call of ", name_of(document.me), " with ", names), element("dl", *told))


def _states(document: Document) -> Markup:
    end = _end(document)
    rows = [Row("call", bands(document.states, end)), Row("health", bands(document.health, end))]
    for peer in document.peers:
        rows.append(Row(peer.user, bands(peer.states, end)))
        for kind, changes in peer.received.items():
            rows.append(Row(f"{kind.value} from there", bands(changes, end)))
    drawn = states("States over time", [row for row in rows if row.bands], CLASSES, end)
    more = document.changes_left_out
    note = element("p", f"{more} changes, before the newest ones, are left out.", class_="note") if more else None
    return _section("States", element("div", element("div", drawn, class_="scroll"), note, class_="card"))


def _users(document: Document) -> Markup:
    columns = (
        "User",
        "Path",
        "Round trip",
        "Stream",
        "Codec",
        "Size",
        "Sum",
        "Mean rate",
        "Packets",
        "Lost",
        "Frames",
        "More",
    )
    head = element("tr", *(element("th", name, scope="col", class_=_aligned(name)) for name in columns))
    rows = [row for peer in document.peers for row in _user(peer)]
    table = element("table", element("thead", head), element("tbody", *rows))
    return _section("Users", element("div", element("div", table, class_="scroll"), class_="card"))


def _user(peer: PeerPart) -> Iterator[Markup]:
    report = peer.total or StatsReport()
    streams = [
        (f"{direction} {kind.value}", stream)
        for direction, some in (("received", report.received), ("sent", report.sent))
        for kind, stream in some.items()
    ]
    end = (peer.end_reason.value if peer.end_reason else "in the call").replace("_", " ")
    path = f"{report.local_candidate or '?'} to {report.remote_candidate or '?'}"
    first = [
        element(
            "th", name_of(peer.user), element("br"), element("span", end), scope="row", rowspan=max(1, len(streams))
        ),
        _cell(f"{path}{', relayed' if report.relayed else ''}" if report.relayed is not None else "none", streams),
        _cell(_shown(scaled(report.round_trip, 1e3), "ms"), streams, class_="n"),
    ]
    if not streams:
        yield element("tr", *first, element("td", "never connected", colspan=9))
    for place, (name, stream) in enumerate(streams):
        yield element("tr", *(first if place == 0 else ()), *_stream(name, stream, _seconds(peer)))


def _cell(value: str, streams: Sequence[object], class_: str | None = None) -> Markup:
    return element("td", value, rowspan=max(1, len(streams)), class_=class_)


def _stream(name: str, stream: StreamStats, seconds: float | None) -> Iterator[Markup]:
    yield element("td", name, class_="w")
    yield element("td", stream.codec or "–")
    yield element("td", f"{stream.width} × {stream.height}" if stream.width and stream.height else "–", class_="w")
    mean = None if stream.bytes is None or not seconds else stream.bytes * 8 / seconds / 1e3
    for text in (
        _shown(scaled(stream.bytes, 1e-3), "kB"),
        _shown(mean, "kbit/s"),
        _shown(stream.packets),
        _shown(stream.packets_lost),
        _shown(stream.frames),
    ):
        yield element("td", text, class_="n")
    yield element("td", ", ".join(_more(stream)) or "–")


MORE: Mapping[str, str] = {
    "frames_decoded": "decoded",
    "frames_dropped": "dropped",
    "frames_concealed": "concealed",
    "freezes": "freezes",
    "nacks": "NACK",
    "plis": "PLI",
}


def _more(stream: StreamStats) -> Iterator[str]:
    """Counters that not every stream has, unless they are 0."""
    for name, words in MORE.items():
        if getattr(stream, name):
            standing = f" ({number(stream.freeze_seconds or 0)} s)" if name == "freezes" else ""
            yield f"{words} {getattr(stream, name)}{standing}"


def _plots(document: Document) -> Markup:
    drawn = [(figure, lines(figure, document.peers)) for figure in FIGURES]
    cards = [_plot(figure, some, _end(document)) for figure, some in drawn if some or not figure.optional]
    key = [element("li", swatch(place, None), name_of(peer.user)) for place, peer in enumerate(document.peers)]
    key += [
        element("li", swatch(None, MediaKind.VIDEO), "video"),
        element("li", swatch(None, MediaKind.AUDIO), "audio"),
    ]
    note = "Gaps: nothing was measured. All time axes are the same: minutes and seconds since the call was made."
    return _section(
        "Measurements",
        element("ul", *key, class_="legend"),
        element("p", note, class_="note"),
        element("br"),
        element("div", *cards, class_="plots"),
    )


def _plot(figure: Figure, some: Sequence[Line], end: float) -> Markup:
    title = f"{figure.title} in {figure.unit}"
    drawn = plot(title, figure.unit, some, end, low=figure.low, least=figure.least)
    key = [
        element(
            "li",
            swatch(line.peer, line.kind),
            element("span", name_of(line.name), ": ", summed_up(line, figure.unit)),
        )
        for line in some
    ]
    heading = element("h3", figure.title, " ", element("span", f"({figure.unit})"))
    return element("section", heading, drawn, element("ul", *key, class_="legend") if key else None, class_="card")


def _pictures(document: Document) -> Markup | None:
    shown = [peer for peer in document.peers if peer.pictures]
    if not shown:
        return None
    parts: list[Markup] = []
    for peer in shown:
        parts.append(element("h3", name_of(peer.user)))
        parts.append(
            element("div", *(_picture(peer, place) for place in range(len(peer.pictures))), class_="pictures")
        )
    return _section("Pictures", element("div", *parts, class_="card"))


def _picture(peer: PeerPart, place: int) -> Markup:
    picture = peer.pictures[place]
    image = element(
        "img",
        src=f"data:image/jpeg;base64,{picture.jpeg}",
        width=picture.width,
        height=picture.height,
        alt=f"What was seen of {peer.user} after {exact(picture.at)}",
    )
    return element("figure", image, element("figcaption", exact(picture.at)))


def _events(document: Document) -> Markup:
    columns = element("tr", *(element("th", name, scope="col") for name in ("Time", "Event", "User", "What it says")))
    rows = [_event(one) for one in document.events]
    table = element("table", element("thead", columns), element("tbody", *rows), class_="events")
    more = f", and {document.events_left_out} more that are left out" if document.events_left_out else ""
    summary = element("summary", f"{len(rows)} events{more}")
    return _section("Events", element("details", summary, element("div", table, class_="scroll"), class_="card"))


def _event(one: Happening) -> Markup:
    words = ", ".join(f"{key}: {value}" for key, value in one.fields.items())
    return element(
        "tr",
        element("td", exact(one.at), class_="n"),
        element("td", one.event),
        element("td", name_of(one.peer) if one.peer else "", class_="words"),
        element("td", name_of(words), class_="words"),
    )


# -- details ---------------------------------------------------------------------------------------------------------


def _section(title: str, *parts: object) -> Markup:
    return element("section", element("h2", title), *parts)


def _end(document: Document) -> float:
    last = [sample.at for peer in document.peers for sample in peer.samples]
    return max([SHORTEST, document.duration, *last])


def _seconds(peer: PeerPart) -> float | None:
    """How long the user was connected for, at most."""
    if peer.connected_at is None:
        return None
    closed = [change.at for change in peer.states if change.state == "closed"]
    last = [*closed, *(sample.at for sample in peer.samples)]
    return max(last) - peer.connected_at if last else None


def _shown(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{number(value)} {unit}".strip()


def _aligned(column: str) -> str | None:
    return "n" if column in ("Round trip", "Sum", "Mean rate", "Packets", "Lost", "Frames") else None


def _between(comma: str, parts: Sequence[Markup]) -> Iterator[object]:
    for place, part in enumerate(parts):
        if place:
            yield comma
        yield part
