"""What is known about a call, as JSON has it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ConfigDict, JsonValue, TypeAdapter

from qbcall.core.model import CallId, CallMedia, EndReason, MediaKind, StatsReport, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From now on something is in this state."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    at: float
    """Seconds since the call was made."""
    state: str
    detail: str = ""
    """For people: why, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement of the connection to a user."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    at: float
    """Seconds since the call was made."""
    report: StatsReport
    """Rates are over the time since the sample before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A small picture of what was seen."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    at: float
    """Seconds since the call was made."""
    width: int
    height: int
    jpeg: str
    """Base64 (RFC 4648, section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event of the call. What signals say is not told."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    at: float
    """Seconds since the call was made."""
    event: str
    """Its class, e.g. `PeerReconnected`."""
    peer: User | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """What else the event says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPart:
    """One other user of the call."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    user: User
    end_reason: EndReason | None = None
    """Null: the report was written before the end."""
    accepted_at: float | None = None
    """When offer and answer were exchanged; seconds since the call was made."""
    connected_at: float | None = None
    """When media was first connected; seconds since the call was made."""
    states: tuple[Change, ...] = ()
    """`PeerState`, lower case."""
    received: Mapping[MediaKind, tuple[Change, ...]] = field(default_factory=dict)
    """What became of what comes from the user: `Reception`."""
    total: StatsReport | None = None
    """The last measurement; its counters are those of the whole call. Null: there was no connection."""
    samples: tuple[Sample, ...] = ()
    pictures: tuple[Picture, ...] = ()
    """Empty where no picture was decoded: none is for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A call, from its beginning to its end or to the moment when this was written."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    v: Literal[1] = 1
    """Version: another number when a program that reads this has to change."""
    qbcall: str
    """Version of the program that wrote it."""
    call: CallId
    me: User
    """Who tells this: `sent` and `received` are seen from here."""
    caller: User
    callees: tuple[User, ...]
    media: CallMedia
    started: str
    """When the call was made, RFC 3339, UTC."""
    duration: float
    """Seconds."""
    connected_at: float | None = None
    """When media was first connected with anybody; seconds since the call was made."""
    end_reason: EndReason | None = None
    """Null: it was written before the end."""
    states: tuple[Change, ...] = ()
    """`CallState`."""
    health: tuple[Change, ...] = ()
    """`Health`."""
    peers: tuple[PeerPart, ...] = ()
    events: tuple[Happening, ...] = ()
    events_left_out: int = 0
    """How many more there were."""
    changes_left_out: int = 0
    """How many more states there were, of all together: each list has the first ones and the newest."""


_DOCUMENT = TypeAdapter(Document)


def to_json(document: Document) -> str:
    """The document as JSON text; what is no number is null."""
    return _DOCUMENT.dump_json(document).decode()


def schema() -> dict[str, JsonValue]:
    """JSON Schema (2020-12) of `to_json`."""
    told = _DOCUMENT.json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **told, "title": "A report of qbcall"}
