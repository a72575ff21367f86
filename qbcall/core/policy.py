"""Every duration and limit of calls, in one frozen value that is passed down once."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import NamedTuple

from qbcall.core.model import User
from qbcall.errors import InvalidArgument


class Range(NamedTuple):
    """What a duration may be, in seconds, both ends included."""

    low: float
    high: float


RANGES = {
    "answer_timeout": Range(10.0, 60.0),
    "dialing_interval": Range(3.0, 60.0),
    "disconnect_timeout": Range(10.0, 3600.0),
    "stats_interval": Range(0.0, 3600.0),
    "connect_timeout": Range(1.0, 600.0),
    "stall_timeout": Range(0.5, 60.0),
    "restart_interval": Range(1.0, 60.0),
    "reconnect_window": Range(0.0, 3600.0),
    "backoff": Range(0.1, 60.0),
}
"""Answer, dialing and disconnect interval: QuickBlox iOS "Basic" page and QBRTCConfig's header; the rest is ours."""

ROSTER = "roster"
"""In `allow`: the contacts of the account (RFC 6121, section 2)."""
OFF, TRUSTED = "off", "trusted"
"""What `preconnect` may be."""
SHORTEST_STATS = 0.1
"""Seconds; measuring more often only costs time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Durations in seconds. A call keeps the policy it was created with.

    Raises:
        InvalidArgument: a value is out of its range.
        TypeError: a value is not a number, or not a truth value.
    """

    answer_timeout: float = 45.0
    """How long a callee may take to answer. 10 to 60 (QuickBlox: answerTimeInterval)."""
    dialing_interval: float = 5.0
    """How often the invitation is repeated. At least 3 (QuickBlox: dialingTimeInterval)."""
    disconnect_timeout: float = 30.0
    """How long a lost peer may take to come back. At least 10 (QuickBlox: disconnectTimeInterval)."""
    stats_interval: float = 0.0
    """How often statistics are told: 0.1 and more; 0: never (QuickBlox: statsReportTimeInterval)."""
    connect_timeout: float = 30.0
    """How long an accepted call may take to find a path for media."""
    stall_timeout: float = 2.0
    """Without a packet for this long, a peer counts as disconnected. One that sends no media is asked three times a
    second and answers; one that is not heard, five times: this long, about eight questions found no answer."""
    restart_interval: float = 5.0
    """How long a lost connection may come back by itself, and then how long each attempt to make it anew may take
    (QuickBlox JS: 5, fixed)."""
    reconnect_window: float = 30.0
    """How long a broken chat link is made again before it counts as lost (Vonage: 30)."""
    backoff: float = 1.0
    """First pause before the chat link is made again; doubles up to 8 times that, and varies by half."""
    max_participants: int = 4
    """Users in one call, this one included; a full mesh carries no more (QuickBlox: 4)."""
    max_calls: int = 8
    """Calls at once, ringing ones included; more are not shown (protects against floods)."""
    accept_calls: bool = True
    """Whether incoming calls ring at all."""
    reject_when_busy: bool = False
    """Reject an incoming call without ringing while another call is live (QuickBlox JS: autoReject)."""
    rejoin: bool = True
    """After a restart of this program, ring again for calls that this user was in and that go on."""
    answer_glare: bool = True
    """When two users call each other at once, make one call of the two; otherwise both ring."""
    allow: tuple[str, ...] = ("any",)
    """Who may ring: `any`, `roster` (the contacts), `jid:PATTERN`, `domain:PATTERN` or a PATTERN; as in a shell."""

    preconnect: str = OFF
    """`trusted`: while a call rings, connect to its caller if `allow` names them, or has them by `roster`.
    They see this machine's addresses before the call is accepted; no media flows. `off`: connect after the accept."""

    def __post_init__(self) -> None:
        for name, limits in RANGES.items():
            check_range(name, getattr(self, name), limits)
        if 0 < self.stats_interval < SHORTEST_STATS:
            raise InvalidArgument(
                f"stats_interval must be 0 (never) or at least {SHORTEST_STATS:g} s, not {self.stats_interval:g}"
            )
        for name, low, high in (("max_participants", 2, 4), ("max_calls", 1, 1000)):
            value = getattr(self, name)
            if type(value) is not int:
                raise TypeError(f"{name} must be a whole number, not {value!r}")
            if not low <= value <= high:
                raise InvalidArgument(f"{name} must be between {low} and {high}, not {value}")
        if self.preconnect not in (OFF, TRUSTED):
            raise InvalidArgument(f"preconnect must be {OFF} or {TRUSTED}, not {self.preconnect!r}")
        for field in fields(self):
            if field.type == "bool" and type(getattr(self, field.name)) is not bool:
                raise TypeError(f"{field.name} must be true or false, not {getattr(self, field.name)!r}")

    def allows(self, user: User, contacts: Collection[User] = ()) -> bool:
        """Whether this user may ring here."""
        return any(user in contacts if rule == ROSTER else _matches(rule, user) for rule in self.allow)

    def trusts(self, user: User, contacts: Collection[User] = ()) -> bool:
        """Whether this user may know this machine's addresses before their call is accepted.

        A pattern or a domain trusts nobody: strangers may fit.
        """
        named = (
            user in contacts if rule == ROSTER else rule.lower().removeprefix("jid:") == user for rule in self.allow
        )
        return self.preconnect == TRUSTED and any(named)


def check_range(name: str, value: object, limits: Range) -> None:
    """Raise when `value` is no number within `limits`.

    Raises:
        TypeError: not a number.
        InvalidArgument: not finite, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not math.isfinite(value):
        raise InvalidArgument(f"{name} must be a finite number of seconds, not {value}")
    if value < limits.low:
        raise InvalidArgument(f"{name} must be equal to or greater than {limits.low:g} s, not {value:g}")
    if value > limits.high:
        raise InvalidArgument(f"{name} must be at most {limits.high:g} s, not {value:g}")


def _matches(pattern: str, user: User) -> bool:
    kind, colon, rest = pattern.partition(":")
    match kind if colon else "":
        case "jid":
            return fnmatchcase(user, rest.lower())
        case "domain":
            return fnmatchcase(user.rpartition("@")[2], rest.lower())
        case _:
            return pattern == "any" or fnmatchcase(user, pattern.lower())
