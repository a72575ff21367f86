"""The grammar of source and sink names."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbcall.errors import InvalidArgument
from qbcall.media.sinks import FORMS as SINKS
from qbcall.media.sources import FORMS as SOURCES
from qbcall.media.specs import parse, split


@pytest.mark.parametrize(
    ("text", "name", "value", "options"),
    [
        ("test", "test", "", {}),
        ("test:name=ann,tone=440", "test", "", {"name": "ann", "tone": "440"}),
        ("file:/a/b,c=d:e.webm", "file", "/a/b,c=d:e.webm", {}),
        ("file:a,b.webm,loop=no", "file", "a,b.webm", {"loop": "no"}),
        ("camera:2", "camera", "2", {}),
    ],
)
def test_source_is_taken_apart(text: str, name: str, value: str, options: dict[str, str]) -> None:
    spec = parse(text, "source", SOURCES)
    assert (spec.text, spec.name, spec.value, spec.options) == (text, name, value, options)


def test_option_of_a_sink_may_hold_equals_signs() -> None:
    assert parse("verify:tones=ann=440/bob=550", "sink", SINKS).options == {"tones": "ann=440/bob=550"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("camra", "did you mean camera"),
        ("", "source must be test, file:PATH, camera"),
        ("test:nam=ann", "did you mean name"),
        ("test:ann", "unknown option 'ann'; it knows name=, tone=, size=, fps="),
        ("silence:loud=1", "it takes none"),
        ("file", "the PATH is missing"),
        ("file:,loop=no", "the PATH is missing"),
        ("file:a.webm,lop=no", "did you mean loop"),
        ("camera+mick", "source must be"),
    ],
)
def test_wrong_source_is_explained(text: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        parse(text, "source", SOURCES)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("camera+mic", ["camera", "mic"]),
        ("camera:1+file:a+b.mp4+silence", ["camera:1", "file:a+b.mp4", "silence"]),
        ("file:c+mic.webm", ["file:c+mic.webm"]),
        ("test:name=a+b", ["test:name=a+b"]),
    ],
)
def test_plus_joins_sources_only_before_a_name(text: str, parts: list[str]) -> None:
    assert split(text, SOURCES) == parts


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for part in split(text, SOURCES):
        with suppress(InvalidArgument):
            assert parse(part, "source", SOURCES).name in SOURCES
