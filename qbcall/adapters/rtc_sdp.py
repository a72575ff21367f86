"""The peer's SDP (RFC 8866), made fit for aiortc; and aiortc's answer, made fit for the peer's offer.

aiortc takes a well-formed SDP in which every section is used. Peers send rejected sections, sections that are of no
use here, lines ended by LF, and whatever else a stranger thinks of. So a section reaches aiortc only if it carries a
kind of media that is wanted, and a line only if it has the form that aiortc expects; the rest is answered as RFC 8829
asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from qbcall.core.model import Candidate, MediaKind
from qbcall.errors import NegotiationError

MAX_SDP = 65536
"""Characters; a browser's offer has about 7000."""
MAX_SECTIONS = 16

_OTHER_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""Where aiortc would begin a line (`str.splitlines`) and SDP does not (RFC 8866, section 5): behind one of them a
peer could hide what is left out here."""
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_SECTION = re.compile(r"m=([a-z]+) (\d{1,5})(?:/\d+)? ([A-Z/]+) (.+)")
_LINES: dict[str, re.Pattern[str]] = {
    name: re.compile(form)
    for name, form in {
        "candidate": r"\S+ \d{1,3} \S+ \d{1,10} \S+ \d{1,5} typ .+",
        "end-of-candidates": r"",
        "extmap": r"\d+(/[a-z]+)? \S+",
        "fingerprint": r"(?i:sha-(256|384|512) ([0-9a-f]{2}:){31,63}[0-9a-f]{2})",
        "group": r"\S+( \S+)*",
        "ice-lite": r"",
        "ice-options": r".+",
        "ice-pwd": r"\S{22,256}",
        "ice-ufrag": r"\S{4,256}",
        "mid": r"\S+",
        "msid": r"\S+( \S+)?",
        "msid-semantic": r" ?\S+( \S+)*",
        "rtcp-fb": r"(\d+|\*) \S+( .+)?",
        "rtcp-mux": r"",
        "rtpmap": r"\d{1,3} \S+/\d+(/\d+)?",
        "setup": r"actpass|active|passive",
        "ssrc": r"\d+ [\w-]+:.*",
        "ssrc-group": r"\S+( \d+)+",
        "fmtp": r"\d{1,3} .+",
        **dict.fromkeys(DIRECTIONS, r""),
    }.items()
}
"""Attributes that aiortc reads, and the form of their values (RFC 8866, 8839, 8122, 8843, 5576, 4585)."""
_NEEDED = {"ice-ufrag": "", "ice-pwd": "", "fingerprint": " of SHA-256 or longer", "setup": ""}
"""What a section must have, and what is wanted of it; a weaker hash proves too little (RFC 8122, section 5).

Without these no connection can be made (RFC 8829, section 5.3.1); each may be given for all sections at once.
"""

_BANDWIDTH = re.compile(r"b=(AS|TIAS):\d{1,10}")
"""RFC 8866, section 5.8; RFC 3890. aiortc passes over it, `rtc_bitrate` reads it."""

Admit = Callable[[str], bool]
"""Whether the candidate in the line's value is to be tried."""
Obstacle = Callable[["Section"], str | None]
"""Why none of the section's codecs can be used; None: one can."""


@dataclass
class Section:
    """One m-line and what belongs to it."""

    kind: str
    port: int
    profile: str
    formats: str
    lines: list[str] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """The values of all attributes of this name."""
        return attributes(self.lines, name)

    def first(self, name: str) -> str | None:
        """The value of the first attribute of this name."""
        return next(iter(self.values(name)), None)

    @property
    def mid(self) -> str:
        """Identification tag (RFC 5888), or nothing."""
        return self.first("mid") or ""

    @property
    def rejected(self) -> bool:
        """Port 0, unless it only says that the section is bundled (RFC 8843, section 6)."""
        return self.port == 0 and self.first("bundle-only") is None

    @property
    def codecs(self) -> list[tuple[int, str, int]]:
        """Payload type, name and clock rate of each `a=rtpmap` (RFC 8866, section 6.6), in their order."""
        found = (re.match(r"(\d+) ([^/]+)/(\d+)", value) for value in self.values("rtpmap"))
        return [(int(match[1]), match[2], int(match[3])) for match in found if match]

    def text(self, *, port: int | None = None, lines: Iterable[str] | None = None) -> str:
        """The section as it is written."""
        head = f"m={self.kind} {self.port if port is None else port} {self.profile} {self.formats}"
        return "".join(f"{line}\r\n" for line in (head, *(self.lines if lines is None else lines)))


@dataclass
class Sdp:
    """A session description in parts."""

    lines: list[str]
    """What is said for all sections."""
    sections: list[Section]

    @property
    def bundle(self) -> tuple[str, ...]:
        """Identification tags of the sections that share one transport."""
        groups = [value.split() for value in attributes(self.lines, "group")]
        return next((tuple(group[1:]) for group in groups if group[:1] == ["BUNDLE"]), ())


def with_candidates(text: str, some: Iterable[Candidate]) -> str:
    """The description with more candidates, each in its section."""
    sdp = parse(text)
    sections = {section.mid: section for section in sdp.sections}
    for one in some:
        if one.mid in sections:
            sections[one.mid].lines.append(f"a={one.candidate}")
    return "".join(f"{line}\r\n" for line in sdp.lines) + "".join(section.text() for section in sdp.sections)


def attributes(lines: Iterable[str], name: str) -> list[str]:
    """The values of `a=name:value` and `a=name`."""
    return [line[len(name) + 3 :] for line in lines if line == f"a={name}" or line.startswith(f"a={name}:")]


def parse(text: str) -> Sdp:
    """Take it apart.

    Raises:
        NegotiationError: too long, no SDP, or an m-line that breaks the rules.
    """
    if len(text) > MAX_SDP:
        raise NegotiationError(f"the SDP has {len(text)} characters, at most {MAX_SDP} are taken")
    sdp = Sdp([], [])
    for line in re.split(r"[\r\n]+", _OTHER_LINE_ENDS.sub(" ", text)):
        if line.startswith("m="):
            match = _SECTION.fullmatch(line.strip())
            if match is None:
                raise NegotiationError(f"the SDP has an m-line that cannot be read: {line[:80]!r}")
            kind, port, profile, formats = match.groups()
            sdp.sections.append(Section(kind, int(port), profile, formats))
        elif line:
            (sdp.sections[-1] if sdp.sections else sdp).lines.append(line)
    if not sdp.lines or not sdp.lines[0].startswith("v=0") or not sdp.sections:
        raise NegotiationError("this is no SDP: it must begin with v=0 and describe media")
    if len(sdp.sections) > MAX_SECTIONS:
        raise NegotiationError(f"the SDP has {len(sdp.sections)} sections, at most {MAX_SECTIONS} are taken")
    return sdp


@dataclass(frozen=True)
class Remote:
    """The peer's description."""

    text: str
    """For aiortc."""
    mids: tuple[str, ...]
    """Identification tags of its sections as aiortc knows them; empty where the section is not used."""
    bundle: tuple[str, ...]
    """Tags of the sections that share one transport, the one whose candidates count first (RFC 8843)."""

    def transport_of(self, mid: str | None, line: int | None) -> str | None:
        """Tag of the section that a candidate belongs to; None: the section uses the transport of another one.

        A candidate that names no section of use belongs to the first: clients differ in what they name.
        """
        if line is not None and mid not in self.mids and 0 <= line < len(self.mids):
            mid = self.mids[line]
        found = mid if mid and mid in self.mids else next(one for one in self.mids if one)
        return None if found in self.bundle[1:] else found


@dataclass(frozen=True)
class Offer(Remote):
    """The peer's offer: which sections are used, and how the others are answered."""

    sdp: Sdp

    @property
    def used(self) -> tuple[int, ...]:
        """Indexes of the sections that are used: the first of each wanted kind."""
        return tuple(index for index, mid in enumerate(self.mids) if mid)

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        """The kinds of media in the used sections."""
        return tuple(MediaKind(self.sdp.sections[index].kind) for index in self.used)

    def complete(self, answer: str) -> str:
        """The answer of aiortc with all sections of the offer, the unused ones rejected (RFC 8829, section 5.3.1)."""
        made = parse(answer)
        shared = [mid for mid in self.sdp.bundle if mid in {section.mid for section in made.sections}]
        lines = [line for line in made.lines if not line.startswith("a=group:")]
        lines += [f"a=group:BUNDLE {' '.join(shared)}"] if shared else []
        ours = dict(zip(self.used, made.sections, strict=True))
        text = "".join(f"{line}\r\n" for line in lines)
        for index, section in enumerate(self.sdp.sections):
            if index in ours:
                ours[index].profile = section.profile
                text += ours[index].text()
            else:
                mid = [f"a=mid:{section.mid}"] if section.mid else []
                text += section.text(port=0, lines=["c=IN IP4 0.0.0.0", *mid, "a=inactive"])
        return text


def read_offer(text: str, wanted: Collection[MediaKind], admit: Admit, obstacle: Obstacle) -> Offer:
    """Make an offer fit for aiortc: the first section of each wanted kind for which there is a common codec.

    Where all sections of a kind have none, RFC 8829, section 5.3.1 would go on without that kind. Here the offer is
    refused: who asks for a video call and shows nothing shall be told why.

    Raises:
        NegotiationError: it cannot be read, offers nothing that is wanted, or a wanted kind in unknown codecs only.
    """
    sdp = parse(text)
    used: dict[str, int] = {}
    obstacles: dict[str, str] = {}
    for index, section in enumerate(sdp.sections):
        if section.kind in {kind.value for kind in wanted} and not section.rejected:
            reason = obstacle(section)
            if reason is None:
                used.setdefault(section.kind, index)
            else:
                obstacles.setdefault(section.kind, reason)
    reasons = [f"{kind}: {reason}" for kind, reason in obstacles.items() if kind not in used]
    if reasons:
        raise NegotiationError(f"no common codec for {'; for '.join(reasons)}")
    if not used:
        kinds = ", ".join(section.kind for section in sdp.sections)
        raise NegotiationError(f"the offer has no {' or '.join(kind.value for kind in wanted)} (sections: {kinds})")
    mids = [
        (section.mid or f"qbcall{index}") if used.get(section.kind) == index else ""
        for index, section in enumerate(sdp.sections)
    ]
    tags = [mid for mid in mids if mid]
    if len(set(tags)) < len(tags):
        raise NegotiationError("two sections of the offer have the same a=mid")
    bundle = tuple(mid for mid in sdp.bundle if mid in tags)
    text = _session(sdp, bundle) + _join(sdp, zip(sdp.sections, mids, strict=True), bundle, admit)
    return Offer(text, tuple(mids), bundle, sdp)


def read_answer(text: str, offer: str, admit: Admit) -> Remote:
    """Make the answer to our offer fit for aiortc: a rejected section shares the transport of a used one, unused.

    Raises:
        NegotiationError: it cannot be read, does not match the offer, or rejects everything.
    """
    sdp, asked = parse(text), parse(offer)
    kinds = [section.kind for section in sdp.sections]
    if kinds != [section.kind for section in asked.sections]:
        raise NegotiationError(f"the answer has sections {kinds}, not those of the offer")
    mids = tuple(section.mid for section in asked.sections)
    used = [(mid, section) for mid, section in zip(mids, sdp.sections, strict=True) if not section.rejected]
    if not used:
        raise NegotiationError("the answer rejects everything that was offered")
    unused = [mid for mid in mids if mid not in dict(used)]
    bundle = tuple(mid for mid in sdp.bundle if mid in dict(used))
    if unused:
        bundle = (*(bundle or (used[0][0],)), *unused)
    sections = [
        _unused(sdp, ours, used[0][1]) if section.rejected else section
        for section, ours in zip(sdp.sections, asked.sections, strict=True)
    ]
    text = _session(sdp, bundle) + _join(sdp, zip(sections, mids, strict=True), bundle, admit)
    return Remote(text, mids, bundle)


def _unused(sdp: Sdp, ours: Section, used: Section) -> Section:
    """A section of our offer that the peer rejected, as one that carries nothing on the transport of another."""
    codecs = [line for line in ours.lines if line.startswith(("a=rtpmap:", "a=fmtp:"))]
    transport = [f"a={name}:{value}" for name in _NEEDED for value in _given(sdp, used, name)[-1:]]
    return Section(ours.kind, 9, ours.profile, ours.formats, [*codecs, *transport, "a=rtcp-mux", "a=inactive"])


def _session(sdp: Sdp, bundle: Sequence[str]) -> str:
    """What is said for all sections, with this bundle."""
    kept = [line for line in _known(sdp.lines) if not line.startswith("a=group:")]
    group = [f"a=group:BUNDLE {' '.join(bundle)}"] if bundle else []
    return "".join(f"{line}\r\n" for line in ("v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0", *group, *kept))


def _join(sdp: Sdp, sections: Iterable[tuple[Section, str]], bundle: Sequence[str], admit: Admit) -> str:
    """The used sections; only those with a transport of their own have candidates."""
    return "".join(
        _fit(sdp, section, mid, _refuse if mid in bundle[1:] else admit) for section, mid in sections if mid
    )


def _refuse(candidate: str) -> bool:
    return False


def _fit(sdp: Sdp, section: Section, mid: str, admit: Admit) -> str:
    for name, kind in _NEEDED.items():
        if not _given(sdp, section, name):
            raise NegotiationError(f"the {section.kind} section of the SDP has no usable a={name}{kind}")
    tried = [value for value in section.values("candidate") if _LINES["candidate"].fullmatch(value)]
    admitted = [value for value in tried if admit(f"candidate:{value}")]
    payloads = {value.partition(" ")[0] for value in section.values("rtpmap")}
    lines = [f"a=mid:{mid}"]
    for line in _known(section.lines):
        name, _, value = line[2:].partition(":")
        if name == "candidate":
            keep = value in admitted
        elif name == "end-of-candidates":
            keep = bool(admitted) and len(admitted) == len(section.values("candidate"))  # else more may come
        else:
            keep = name != "mid" and (name != "fmtp" or value.partition(" ")[0] in payloads)
        if keep:
            lines.append(line)
    if not any(f"a={direction}" in section.lines for direction in DIRECTIONS):
        told = next((one for one in DIRECTIONS if f"a={one}" in sdp.lines), DIRECTIONS[0])
        lines.append(f"a={told}")  # RFC 8866, section 6.7: sendrecv unless told
    return section.text(port=9, lines=lines)


def _given(sdp: Sdp, section: Section, name: str) -> list[str]:
    values = section.values(name) or attributes(sdp.lines, name)
    return [value for value in values if _LINES[name].fullmatch(value)]


def _known(lines: Iterable[str]) -> list[str]:
    """Those lines that aiortc reads and that have the form it expects."""
    return [line for line in lines if _is_known(line)]


def _is_known(line: str) -> bool:
    if _BANDWIDTH.fullmatch(line):
        return True
    name, _, value = line[2:].partition(":")
    return line.startswith("a=") and name in _LINES and _LINES[name].fullmatch(value) is not None
