"""What of an application's info XML can carry."""

from __future__ import annotations

from typing import cast
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbcall.core.model import Info
from qbcall.dialects.xml import CLIENT, MAX_INFO_BYTES, MAX_INFO_KEYS, Fields, add, check_info
from qbcall.errors import InvalidArgument
from tests.dialects.transcripts import over_the_wire


@pytest.mark.parametrize("info", [[("a", "b")], {"a": 1}, {"a": None}, {"a": b"b"}, {1: "b"}, {"a": {"b": "c"}}])
def test_info_that_is_not_text_to_text_is_type_error(info: object) -> None:
    """QB-033: a value that is no text is a TypeError before anything is sent."""
    with pytest.raises(TypeError, match="info"):
        check_info(cast(Info, info))


def test_no_info_is_an_empty_one() -> None:
    """QB-032."""
    assert check_info(None) == {}


def test_checked_info_is_a_copy() -> None:
    info = {"a": "1"}
    checked = check_info(info)
    info["a"] = "\x00"
    assert checked == {"a": "1"}


def test_type_error_names_the_key() -> None:
    """QB-033."""
    with pytest.raises(TypeError, match="'age' must be text, not 7"):
        check_info(cast(Info, {"name": "x", "age": 7}))


@pytest.mark.parametrize(
    "key", ["", "1st", "a b", "a:b", "<a", "a/", "a='1'", "a/><b", "!--", "-a", "\ud800", "é\x00"]
)
def test_key_that_is_no_element_name_is_refused(key: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_info({key: "x"})
    assert repr(key) in str(refused.value)


def test_key_delay_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'delay' is reserved"):
        check_info({"delay": "x"})


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1f", "\r", "\ud800", "\ufffe", "\uffff"])
def test_character_that_does_not_survive_is_refused(character: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_info({"note": f"a{character}b"})
    assert "'note'" in str(refused.value)
    assert repr(character) in str(refused.value)


def test_too_many_keys_are_refused() -> None:
    check_info({f"k{n}": "" for n in range(MAX_INFO_KEYS)})
    with pytest.raises(InvalidArgument, match="61 keys, at most 60"):
        check_info({f"k{n}": "" for n in range(MAX_INFO_KEYS + 1)})


def test_too_many_bytes_are_refused() -> None:
    check_info({"k": "x" * (MAX_INFO_BYTES - 1)})
    with pytest.raises(InvalidArgument, match=f"bytes of keys and values, at most {MAX_INFO_BYTES}"):
        check_info({"k": "é" * (MAX_INFO_BYTES // 2)})


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3))
def test_whatever_is_not_refused_arrives_as_it_is(info: dict[str, str]) -> None:
    """QB-034."""
    try:
        check_info(info)
    except InvalidArgument:
        return
    parent = Element(f"{{{CLIENT}}}userInfo")
    for key, value in info.items():
        add(parent, key, value)
    arrived = over_the_wire(parent)
    assert {key: Fields(arrived).text(key) for key in info} == info
    assert len(arrived) == len(info)
