"""How an impairment is written, and what is said about what means none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbcall.core.impairment import Blackout, Conditions, Impairment
from qbcall.core.impairment_text import once_between, parse_impairment, with_seed
from qbcall.errors import InvalidArgument


def both(seed: int | None = None, **conditions: object) -> Impairment:
    same = Conditions(**conditions)  # type: ignore[arg-type]  # names them
    return Impairment(up=same, down=same, seed=seed)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (
            "loss=5%,delay=80ms,jitter=20ms,rate=300k,blackout=3s@10s,seed=7",
            both(7, loss=0.05, delay=0.08, jitter=0.02, rate=300e3, blackouts=(Blackout(3.0, 10.0),)),
        ),
        ("loss=0.05", both(loss=0.05)),
        ("loss=0", both(loss=0.0)),
        ("loss=1", both(loss=1.0)),
        ("loss=100%", both(loss=1.0)),
        ("loss=0.5%", both(loss=0.005)),
        ("delay=0.08s , jitter = 1ms", both(delay=0.08, jitter=0.001)),
        ("delay=10s", both(delay=10.0)),
        ("rate=2M", both(rate=2e6)),
        ("rate=1.5M", both(rate=1.5e6)),
        ("rate=8k", both(rate=8e3)),
        ("blackout=500ms@0s", both(blackouts=(Blackout(0.5, 0.0),))),
        ("blackout=1s@2s,blackout=2s@5s", both(blackouts=(Blackout(1.0, 2.0), Blackout(2.0, 5.0)))),
        ("seed=0", both(0)),
        ("up.loss=5%", Impairment(up=Conditions(loss=0.05))),
        ("down.loss=5%,up.loss=1%", Impairment(up=Conditions(loss=0.01), down=Conditions(loss=0.05))),
        (
            "down.blackout=1s@0s,blackout=1s@2s",
            Impairment(
                up=Conditions(blackouts=(Blackout(1.0, 2.0),)),
                down=Conditions(blackouts=(Blackout(1.0, 0.0), Blackout(1.0, 2.0))),
            ),
        ),
    ],
)
def test_text_means_an_impairment(text: str, meaning: Impairment) -> None:
    assert parse_impairment(text) == meaning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' must be KEY=VALUE"),
        ("loss", "'loss' must be KEY=VALUE"),
        ("loss=5%,", "'' must be KEY=VALUE"),
        ("loss=5", "loss must be 0% to 100%, or 0 to 1, not '5'"),
        ("loss=101%", "loss must be 0% to 100%, or 0 to 1, not '101%'"),
        ("loss=-1%", "loss must be 0% to 100%, or 0 to 1, not '-1%'"),
        ("loss=nan", "loss must be 0% to 100%, or 0 to 1, not 'nan'"),
        ("loss=", "loss must be 0% to 100%, or 0 to 1, not ''"),
        ("loss=1%,loss=2%", "loss is given twice"),
        ("loss=1%,up.loss=2%", "loss is given twice"),
        ("up.loss=7", "up.loss must be 0% to 100%, or 0 to 1, not '7'"),
        ("delay=80", "delay must be 0ms to 10s, not '80'"),
        ("delay=80m", "delay must be 0ms to 10s, not '80m'"),
        ("delay=11s", "delay must be 0ms to 10s, not '11s'"),
        ("jitter=20ms", "jitter must be at most the delay (0 s), not 0.02 s"),
        ("delay=80ms,jitter=81ms", "jitter must be at most the delay (0.08 s), not 0.081 s"),
        ("rate=300", "rate must be 8k to 1000M (bit/s), not '300'"),
        ("rate=7k", "rate must be 8k to 1000M (bit/s), not '7k'"),
        ("rate=1001M", "rate must be 8k to 1000M (bit/s), not '1001M'"),
        ("rate=300K", "rate must be 8k to 1000M (bit/s), not '300K'"),
        ("blackout=3s", "blackout must be LENGTH@START, e.g. 3s@10s, not '3s'"),
        ("blackout=0s@1s", "blackout must be LENGTH@START with a length of 1ms to 3600s, not '0s'"),
        ("blackout=1s@1", "blackout must be LENGTH@START with a start of 0s to 86400s, not '1'"),
        ("seed=-1", "seed must be a whole number from 0 to 999999999, not '-1'"),
        ("seed=1.5", "seed must be a whole number from 0 to 999999999, not '1.5'"),
        ("seed=1,seed=1", "seed is given twice"),
        ("los=5%", "unknown key 'los'; did you mean 'loss'?"),
        ("zzz=1", "unknown key 'zzz'; there are: loss, delay, jitter, rate, blackout, seed"),
        ("left.loss=1%", "unknown key 'left.loss'; before a key: up. or down."),
        ("up.seed=1", "unknown key 'up.seed'; up. and down. go before: loss, delay, jitter, rate, blackout"),
    ],
)
def test_text_that_means_none_is_told_with_key_value_and_limit(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_impairment(text)
    assert str(caught.value) == said


@given(st.text(alphabet="lossdelayrateblackoutseedupdown.=,@%0123456789msk "))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(InvalidArgument):
        assert isinstance(parse_impairment(text), Impairment)


def test_text_without_a_seed_gets_one() -> None:
    assert with_seed("loss=5%", 42) == "loss=5%,seed=42"
    assert with_seed("seed=7,loss=5%", 42) == "seed=7,loss=5%"
    with pytest.raises(InvalidArgument, match="loss must be"):
        with_seed("loss=9", 42)


def test_users_with_the_same_bad_network_have_it_once_between_them() -> None:
    assert once_between("loss=5%, delay=80ms,down.rate=8k,blackout=1s@2s,seed=7") == (
        "up.loss=5%,up.delay=80ms,down.rate=8k,up.blackout=1s@2s,seed=7"
    )
    assert once_between("") == ""
    with pytest.raises(InvalidArgument, match="loss must be"):
        once_between("loss=9")
