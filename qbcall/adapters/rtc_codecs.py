"""The codecs that this side has, in the order it likes them, and whether a peer has one of them too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiortc import RTCRtpCodecCapability, RTCRtpCodecParameters
from aiortc.codecs import CODECS as ALL_PARAMETERS
from aiortc.codecs import get_capabilities
from aiortc.rtcpeerconnection import is_codec_compatible
from aiortc.sdp import parameters_from_sdp

from qbcall.adapters.rtc_sdp import Section, parse
from qbcall.adapters.rtc_stats import Codec
from qbcall.core.model import MediaKind

PREFERRED = ("video/vp8", "video/rtx", "video/h264", "audio/opus")
"""The best first: every WebRTC client has VP8 and Opus, QuickBlox's browsers send VP8 (RFC 7742, RFC 7874)."""
CODECS = {
    kind: sorted(
        get_capabilities(kind.value).codecs,
        key=lambda codec: PREFERRED.index(codec.mimeType.lower()) if codec.mimeType.lower() in PREFERRED else 9,
    )
    for kind in MediaKind
}
COMPANIONS = ("rtx", "red", "ulpfec", "flexfec-03", "telephone-event", "CN")
"""Formats that carry no media by themselves: repetition, error correction, keys and silence."""
MAX_NAMED = 8
"""Codecs of a peer that an error names; each with at most `MAX_NAME` characters."""
MAX_NAME = 20


def obstacle(section: Section) -> str | None:
    """Why no codec of the peer's section can be used; None: one can."""
    ours = ALL_PARAMETERS[section.kind]
    theirs = list(_parameters(section))
    if any(is_codec_compatible(one, other) for one in ours for other in theirs):
        return None
    mine = _names(CODECS[MediaKind(section.kind)])
    offered = [
        f"{name[:MAX_NAME]} of another profile" if name.lower() in map(str.lower, mine) else name[:MAX_NAME]
        for name in _names(theirs)
    ]
    return f"the peer offers {_list(offered[:MAX_NAMED])} only; qbcall has {_list(mine)}"


def codecs_by_kind(sdp: str | None) -> dict[str, dict[int, Codec]]:
    """What each kind of section names in `a=rtpmap`, by payload type."""
    sections = parse(sdp).sections if sdp else []
    return {
        section.kind: {number: Codec(name, rate) for number, name, rate in section.codecs} for section in sections
    }


def codec_to_send(kind: MediaKind, theirs: Mapping[str, Mapping[int, Codec]]) -> Codec | None:
    """What aiortc sends: the first of our preferred codecs that the peer names."""
    named = {codec.name.lower(): codec for codec in theirs.get(kind.value, {}).values()}
    ours = (codec.mimeType.lower().partition("/")[2] for codec in CODECS[kind])
    return next((named[name] for name in ours if name in named and name != "rtx"), None)


def _parameters(section: Section) -> Iterable[RTCRtpCodecParameters]:
    """The section's codecs as aiortc has them, without companions and those that it cannot read."""
    formats = dict(value.partition(" ")[::2] for value in section.values("fmtp"))
    for number, name, rate in section.codecs:
        if name in COMPANIONS:
            continue
        try:
            parameters = parameters_from_sdp(formats.get(str(number), ""))
        except ValueError:
            continue
        yield RTCRtpCodecParameters(
            mimeType=f"{section.kind}/{name}", clockRate=rate, payloadType=number, parameters=parameters
        )


def _names(codecs: Iterable[RTCRtpCodecParameters | RTCRtpCodecCapability]) -> list[str]:
    names = dict.fromkeys(codec.mimeType.partition("/")[2] for codec in codecs)
    return [name for name in names if name not in COMPANIONS]


def _list(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; or `nothing`."""
    *most, last = names or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last
