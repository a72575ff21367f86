"""Offers that QuickBlox clients sent, and what is made of them; what a real endpoint says to an offer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree.ElementTree import fromstring

from qbcall.adapters import rtc_sdp
from qbcall.core.inputs import AnswerReady, MediaBroke
from qbcall.core.model import CallMedia, Description
from tests.adapters.rtc_room import Endpoint, run

FOLDER = Path(__file__).parent.parent / "vectors" / "quickblox"


def recorded_offers() -> dict[str, str]:
    """Every different SDP that a QuickBlox client sent with an invitation, by file and number."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if 'dir": "out' not in line or "actpass" not in line:
                continue
            for element in fromstring(json.loads(line)["xml"]).iter():
                text = (element.text or "").replace("\n", "\r\n")  # an XML parser makes LF of CR LF
                if element.tag.endswith("sdp") and text not in found.values():
                    found[f"{path.stem}-{len(found)}"] = text
    return found


OFFERS = recorded_offers()
VIDEO_OFFER = next(text for text in OFFERS.values() if "m=video" in text)
AUDIO_OFFER = next(text for text in OFFERS.values() if "m=video" not in text)


def sections(offer: str) -> tuple[str, str, str]:
    """What comes before the m-lines, the audio and the video section."""
    head, audio, video = re.split(r"(?=^m=)", offer, flags=re.MULTILINE)
    return head, audio, video


def codecs_only(*names: str) -> str:
    """The video offer with these codecs for the picture, in this order."""
    head, audio, video = sections(VIDEO_OFFER)
    known = {name: str(number) for number, name, _ in rtc_sdp.parse(VIDEO_OFFER).sections[1].codecs}
    numbers = [known[name] for name in names]
    kept = [line for line in video.split("\r\n") if not re.match(r"a=(rtpmap|fmtp|rtcp-fb):(\d+)", line)]
    kept += [f"a=rtpmap:{number} {name}/90000" for number, name in zip(numbers, names, strict=True)]
    first = re.sub(r"SAVPF .*", f"SAVPF {' '.join(numbers or ['99'])}", kept[0])
    return head + audio + "\r\n".join([first, *(line for line in kept[1:] if line)]) + "\r\n"


def picture_only(offer: str) -> str:
    """It without its audio section."""
    head, _, video = sections(offer)
    return head + video


def sound_only(codec: str) -> str:
    """The audio offer with a codec by this name in place of all others."""
    return re.sub(r"a=rtpmap:(\d+) [^/]+/\d+", rf"a=rtpmap:\1 {codec}/16000", AUDIO_OFFER)


def answered(offer: str, media: CallMedia = CallMedia.VIDEO) -> rtc_sdp.Sdp:
    """What a real endpoint answers."""
    found: list[str] = []

    async def play() -> None:
        async with Endpoint("b") as b, Endpoint("a") as a:
            found.append((await b.answer(a, Description(offer), media)).sdp)

    run(play)
    return rtc_sdp.parse(found[0])


def refused(offer: str, media: CallMedia = CallMedia.VIDEO) -> str:
    """Why a real endpoint does not answer."""
    found: list[str] = []

    async def play() -> None:
        async with Endpoint("b") as b, Endpoint("a") as a:
            b.accept(a, Description(offer), media)
            found.append((await b.until(MediaBroke)).error)
            assert b.told(AnswerReady) == []

    run(play)
    return found[0]
