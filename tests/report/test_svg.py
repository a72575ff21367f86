"""Plots as SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from qbcall.core.model import MediaKind
from qbcall.report.axes import Axis
from qbcall.report.series import Band, Line, Point
from qbcall.report.svg import Row, path, plot, states

X, Y = Axis(0.0, 10.0, 0, 100), Axis(0.0, 10.0, 100, 0)


@pytest.mark.parametrize(
    ("points", "outline"),
    [
        ([], ""),
        ([(1.0, None)], ""),
        ([(1.0, 1.0)], "M10,90h0"),
        ([(1.0, 1.0), (2.0, 2.0)], "M10,90L20,80"),
        ([(1.0, 1.0), (2.0, None), (3.0, 3.0), (4.0, 4.0)], "M10,90h0M30,70L40,60"),
        ([(0.0, None), (1.0, 20.0), (2.0, -5.0), (3.0, None)], "M10,0L20,100"),
    ],
)
def test_line_is_broken_at_gaps(points: list[Point], outline: str) -> None:
    assert path(points, X, Y) == outline


def test_plot_tells_its_lines_in_words_too() -> None:
    line = Line("bob, video", 0, MediaKind.VIDEO, ((1.0, 10.0), (2.0, None), (3.0, 30.0)))
    drawn = plot("Bit rate", "kbit/s", [line], 5.0, low=0, least=10)
    root = ET.fromstring(drawn)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Bit rate"
    assert "bob, video: 10 to 30, mean 20 kbit/s" in [title.text for title in root.iter("title")]
    assert {"0:00", "0:05", "0", "30"} <= {text.text for text in root.iter("text")}


def test_plot_without_lines_says_so() -> None:
    drawn = plot("Bit rate", "kbit/s", [], 5.0, low=0, least=10)
    assert "nothing is known" in {text.text for text in ET.fromstring(drawn).iter("text")}


def test_states_are_bands_with_their_times() -> None:
    rows = [Row("b" * 40, [Band(0, 1.5, "connected", ""), Band(1.5, 1.51, "failed", "no path")]), Row("empty", [])]
    root = ET.fromstring(states("States", rows, {"connected": "ok"}, 10.0))
    assert [group.get("class") for group in root.iter("g") if group.get("class")] == ["band ok", "band idle"]
    titles = [title.text for title in root.iter("title")]
    assert f"{'b' * 40}: failed, 0:01.5 to 0:01.5: no path" in titles
    words = "".join(root.itertext())
    assert "…" in words
    assert "connected" in words
