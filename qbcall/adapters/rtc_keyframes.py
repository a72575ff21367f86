"""What encoded pictures tell before they are decoded: whether they are complete in themselves, and their size."""

from __future__ import annotations

from qbcall.media.encoded import MOST_PIXELS

START_CODE = b"\0\0\0\1"
"""Before each NAL unit, as aiortc joins them (H.264, annex B)."""
PARAMETERS = 7
"""A sequence parameter set (H.264, table 7-1)."""
COMPLETE_UNITS = (5, PARAMETERS)
"""A slice of an IDR picture, and what comes before one."""
VP8_START = b"\x9d\x01\x2a"
"""In each picture of VP8 that is complete (RFC 6386, section 9.1)."""


def is_complete(codec: str, data: bytes) -> bool:
    """Whether a decoder can begin with this picture."""
    if codec.upper() == "VP8":
        return len(data) >= 10 and not data[0] & 1 and data[3:6] == VP8_START
    return data.startswith(START_CODE) and any(unit in COMPLETE_UNITS for unit in _units(data))


def opens_complete(codec: str, data: bytes) -> bool:
    """Whether this is the first packet of a complete picture, and none of those in its middle."""
    if codec.upper() == "VP8":
        return is_complete(codec, data)
    return data.startswith(START_CODE) and _units(data)[:1] == [PARAMETERS]


def size_of(codec: str, data: bytes) -> tuple[int, int] | None:
    """Width and height of a complete picture, of which the beginning is enough; None: it does not tell."""
    if codec.upper() != "VP8" or not is_complete(codec, data):
        return None
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


def is_too_large(codec: str, data: bytes) -> bool:
    """Whether a picture says that it is; libvpx takes the memory before it looks at the rest."""
    width, height = size_of(codec, data) or (0, 0)
    return width * height > MOST_PIXELS


def _units(data: bytes) -> list[int]:
    """The types of the NAL units."""
    found, place = [], data.find(START_CODE)
    while 0 <= place < len(data) - len(START_CODE):
        found.append(data[place + len(START_CODE)] & 0x1F)
        place = data.find(START_CODE, place + len(START_CODE))
    return found
