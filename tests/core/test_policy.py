"""Durations and limits: acceptance section 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from qbcall.core.model import User
from qbcall.core.policy import RANGES, Policy
from qbcall.errors import InvalidArgument


def test_defaults_are_those_of_the_page() -> None:
    """QB-009."""
    policy = Policy()
    assert (policy.answer_timeout, policy.dialing_interval, policy.disconnect_timeout) == (45.0, 5.0, 30.0)
    assert (policy.stats_interval, policy.max_participants) == (0.0, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("answer_timeout", 60, id="QB-010"),
        pytest.param("answer_timeout", 10, id="QB-012"),
        pytest.param("dialing_interval", 3, id="QB-013"),
        pytest.param("disconnect_timeout", 10, id="QB-014 least"),
        pytest.param("disconnect_timeout", 20, id="QB-014"),
        pytest.param("stats_interval", 0.1, id="statistics"),
    ],
)
def test_value_in_its_range_is_accepted(name: str, value: float) -> None:
    """QB-010, QB-012, QB-013, QB-014."""
    assert getattr(Policy(**{name: value}), name) == value  # type: ignore[arg-type]  # all of these are numbers


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param("answer_timeout", 61, "at most 60", id="QB-011"),
        pytest.param("answer_timeout", 160, "at most 60", id="QB-011 far"),
        pytest.param("answer_timeout", 9.9, "equal to or greater than 10", id="QB-012"),
        pytest.param("dialing_interval", 2.9, "equal to or greater than 3", id="QB-013"),
        pytest.param("disconnect_timeout", 9.9, "equal to or greater than 10", id="QB-014"),
        pytest.param("stats_interval", 1e-9, "0 \\(never\\) or at least 0.1", id="a flood of statistics"),
        pytest.param("max_participants", 5, "between 2 and 4", id="QB-022"),
        pytest.param("max_calls", 0, "between 1 and 1000", id="no call at all"),
    ],
)
def test_value_out_of_its_range_is_refused_with_the_limit(name: str, value: float, message: str) -> None:
    """QB-011, QB-012, QB-013, QB-014."""
    with pytest.raises(InvalidArgument, match=message) as caught:
        Policy(**{name: value})  # type: ignore[arg-type]  # all of these are numbers
    assert name in str(caught.value)


@pytest.mark.parametrize("name", RANGES)
def test_what_is_no_duration_is_refused(name: str) -> None:
    """QB-015."""
    nonsense: tuple[tuple[object, Callable[..., object]], ...] = (
        (math.nan, InvalidArgument),
        (math.inf, InvalidArgument),
        (-1.0, InvalidArgument),
        ("5", TypeError),
        (None, TypeError),
        (True, TypeError),
    )
    for value, error in nonsense:
        with pytest.raises((InvalidArgument, TypeError), match=name) as caught:
            Policy(**{name: value})  # type: ignore[arg-type]  # that is the point
        assert caught.type is error


@pytest.mark.parametrize(("name", "value"), [("accept_calls", 1), ("answer_glare", "yes"), ("max_calls", 2.0)])
def test_value_of_another_type_is_refused(name: str, value: object) -> None:
    """QB-015."""
    with pytest.raises(TypeError, match=name):
        Policy(**{name: value})  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("allow", "trusted"),
    [
        (("any",), False),
        (("*@example.org",), False),
        (("domain:example.org",), False),
        (("jid:ann@*",), False),
        (("ann@example.org",), True),
        (("jid:Ann@example.org",), True),
        (("any", "jid:ann@example.org"), True),
        (("roster",), True),
        (("any", "roster"), True),
        (("bob@example.org",), False),
    ],
)
def test_who_is_named_or_a_contact_is_trusted(allow: tuple[str, ...], trusted: bool) -> None:
    ann = User("ann@example.org")
    assert Policy(preconnect="trusted", allow=allow).trusts(ann, {ann}) is trusted
    assert Policy(allow=allow).trusts(ann, {ann}) is False
    assert Policy(preconnect="trusted", allow=("roster",)).trusts(ann) is False


def test_preconnect_is_off_or_trusted() -> None:
    with pytest.raises(InvalidArgument, match="preconnect must be off or trusted, not 'all'"):
        Policy(preconnect="all")
