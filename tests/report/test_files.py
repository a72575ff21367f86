"""Where reports are written, and how much of a long call they keep."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from qbcall.errors import InvalidArgument, SinkError
from qbcall.media.planes import plain
from qbcall.report.files import check_path, ending, numbered, write
from qbcall.report.thinning import Thinned
from qbcall.report.thumbnails import thumbnail


@pytest.mark.parametrize(
    ("name", "kind"), [("a.html", "html"), ("a.HTM", "html"), ("b/a.json", "json"), ("x.y.JSON", "json")]
)
def test_ending_says_what_is_written(name: str, kind: str) -> None:
    assert ending(Path(name)) == kind


@pytest.mark.parametrize("name", ["a", "a.pdf", ".html", "html", "a.html.gz", ""])
def test_other_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"\.html or \.json"):
        check_path(tmp_path / name if name else Path(name))


def test_place_where_nothing_can_be_written_is_found_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.html").mkdir()
    for name in ("missing/a.html", "file/a.html", "folder.html"):
        with pytest.raises(SinkError, match=name):
            check_path(tmp_path / name)


def test_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_path(tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    write(path, "näu \ud800")
    assert path.read_text(encoding="utf-8") == "näu ?"
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="missing"):
        write(tmp_path / "missing" / "a.json", "x")


def test_later_calls_have_a_number() -> None:
    assert [str(numbered(Path("x/a.b.html"), number)) for number in (1, 2)] == ["x/a.b.html", "x/a.b-2.html"]


def test_long_calls_are_kept_in_less_detail() -> None:
    kept: Thinned[int] = Thinned(1.0, 16, slack=0.5)
    for second in range(1000):
        if kept.is_due(second + 0.01 * (second % 3)):
            kept.add(second, second)
    times = [at for at, _ in kept]
    assert 8 <= len(kept) <= 16
    assert times[0] == 0
    assert max(later - at for at, later in pairwise(times)) <= 130
    assert times[-1] > 1000 - 130


def test_thumbnail_is_a_small_jpeg() -> None:
    picture = thumbnail(plain(640, 480), 3.0)
    assert picture is not None
    assert (picture.width, picture.height, picture.at) == (160, 120, 3.0)
    assert picture.jpeg.startswith("/9j/")
    assert len(picture.jpeg) < 8000


@pytest.mark.parametrize(("width", "height"), [(2, 2000), (2000, 2), (16, 16)])
def test_thumbnail_of_any_shape_is_within_its_size(width: int, height: int) -> None:
    picture = thumbnail(plain(width, height), 0.0)
    assert picture is not None
    assert 1 <= picture.width <= 160
    assert 1 <= picture.height <= 160


def test_thumbnail_of_grey_is_made_and_of_nothing_is_none() -> None:
    grey = av.VideoFrame.from_ndarray(np.zeros((48, 64), np.uint8), format="gray")
    assert thumbnail(grey, 0.0) is not None
    assert thumbnail(av.VideoFrame(), 0.0) is None
