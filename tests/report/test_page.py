"""The page and the JSON of a report; names come from strangers."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
import pytest

from qbcall.core.model import MediaKind, StatsReport, User
from qbcall.report.document import Change, Document, Happening, PeerPart, schema, to_json
from qbcall.report.figures import FIGURES
from qbcall.report.markup import element, escaped
from qbcall.report.page import page
from tests.report.examples import BOB, CAT, FULL, PIXEL, document, peer, stream, whole

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onload='alert(1)",
    "</title></svg></style><iframe src=//evil.example>",
    "--><!--<b>",
    "&lt;b&gt;",
    "\u202egro.elpmaxe@bob",
    "zero\0\x07\x1b[31m",
    "x" * 5000,
)
VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Elements and their attributes; sees that all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.comments: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def hostile(words: str) -> Document:
    """A call in which everything that others say is this."""
    streams = {kind: replace(FULL.report.received[kind], codec=words) for kind in MediaKind}
    report = StatsReport(local_candidate=words, remote_candidate=words, sent=streams, received=streams)
    states = (Change(at=0.0, state="connected"), Change(at=1.0, state=words, detail=words))
    bob = PeerPart(
        user=User(words),
        states=states,
        received={MediaKind.AUDIO: states},
        samples=(FULL, replace(FULL, at=3.0)),
        pictures=whole().peers[0].pictures,
        total=report,
    )
    told = Happening(at=1.0, event=words, peer=User(words), fields={words: words})
    return document(bob, me=User(words), caller=User(words), call=words, states=states, health=states, events=(told,))


@pytest.mark.parametrize("words", HOSTILE)
def test_words_of_strangers_stay_words(words: str) -> None:
    plain, attacked = Reader(page(hostile("bob"))), Reader(page(hostile(words)))
    assert attacked.tags == plain.tags
    assert not attacked.tags & {"script", "iframe", "b"}
    assert attacked.comments == []
    names = {name for _, attributes in attacked.elements for name in attributes}
    assert names == {name for _, attributes in plain.elements for name in attributes}
    source = next(attributes["src"] for tag, attributes in attacked.elements if tag == "img")
    assert source == f"data:image/jpeg;base64,{PIXEL}"
    assert "\0" not in page(hostile(words))
    if words.isprintable():
        assert words in "".join(attacked.words)


def test_page_needs_nothing_else() -> None:
    read = Reader(page(whole()))
    policy = next(one["content"] for tag, one in read.elements if one.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    for tag, attributes in read.elements:
        assert tag not in {"script", "link", "iframe", "object", "form", "base"}
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in page(whole())
    assert "@import" not in page(whole())


def test_page_tells_all_of_a_call() -> None:
    """QB-139."""
    text = "".join(Reader(page(whole())).words)
    for words in ("Call of ann@example.org", "bob@example.org", "hung up", "64 kbit/s", "VP8", "640 × 480", "NACK 3"):
        assert words in text
    for words in ("freezes 1 (0.4 s)", "concealed 2", "PeerHungUp", "why=done", "stalled", "never connected"):
        assert words in text
    for figure in FIGURES:
        assert figure.title in text


def test_page_is_accessible() -> None:
    read = Reader(page(whole()))
    assert ("html", {"lang": "en"}) in read.elements
    for tag, attributes in read.elements:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or (
                attributes["role"],
                bool(attributes["aria-label"]),
            ) == (
                "img",
                True,
            )
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in ("col", "row")


@pytest.mark.parametrize(
    "some",
    [
        document(),
        document(peer()),
        document(peer(BOB, replace(FULL, report=StatsReport())), peer(CAT, FULL)),
        document(peer(total=StatsReport(received={MediaKind.VIDEO: stream()})), duration=0.0),
        document(peer(connected_at=1.0, total=FULL.report)),
        document(events_left_out=7),
        whole(),
    ],
)
def test_missing_values_are_never_an_error(some: Document) -> None:
    """QB-139: a call that failed at once, or a user who never came."""
    assert Reader(page(some)).words
    jsonschema.Draft202012Validator(schema()).validate(json.loads(to_json(some)))


def test_json_is_what_its_schema_says() -> None:
    told = json.loads(to_json(whole()))
    jsonschema.Draft202012Validator(schema()).validate(told)
    assert told["peers"][0]["samples"][0]["report"]["received"]["video"]["codec"] == "VP8"
    assert told["peers"][0]["states"][0] == {"at": 0.1, "state": "pending", "detail": ""}
    assert (told["v"], told["end_reason"], told["media"]) == (1, None, "video")


def test_schema_tells_what_fields_mean() -> None:
    assert "Base64" in json.dumps(schema())


def test_text_is_escaped_and_markup_is_not() -> None:
    assert element("b", "<", element("i", None, 1), title='"', class_="x", id=None) == (
        '<b title="&quot;" class="x">&lt;<i>1</i></b>'
    )
    assert escaped("a\0b\x9f\ud800c\n") == "a\ufffdb\ufffd\ufffdc\n"
