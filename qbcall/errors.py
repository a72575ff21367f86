"""Everything qbcall raises.

QbcallError
├── ConfigError            configuration: every problem of all layers at once
├── UsageError             the caller's fault: raised by the call that caused it, nothing was sent
│   ├── InvalidState       right thing, wrong moment
│   └── InvalidArgument    wrong value; names the field, the value and the limit (also a ValueError)
├── SignalFailed           a typed signal was not sent; carries a code as Vonage's
├── LinkError              the chat link
│   ├── AuthError          credentials refused
│   ├── ServerUnreachable  no such host, refused port, no answer
│   ├── InsecureLink       TLS missing, refused or not trusted
│   └── LinkDown           not connected now
├── DialectError           what arrived cannot be understood
│   └── Malformed
├── MediaError             audio, video and their path
│   ├── SourceError        file, device or program missing, unreadable or not media
│   ├── SinkError          directory not writable, disk full, no display, no loudspeaker
│   └── NegotiationError   the two sides have no common way to exchange media
├── ProgramMissing         a program is not installed; names how to install it
├── ExpectationFailed      a step of a scripted bot was not met
└── CallFailed             awaiting an outcome that did not come; carries the call's end reason
    ├── Rejected
    │   └── Busy
    ├── NoAnswer
    ├── Cancelled          the caller gave up before this side accepted
    ├── MediaFailed        media could not be established
    ├── CallLost           was connected, then lost for longer than the disconnect interval
    └── PeerNotTrusted     was connected, then another device wanted to go on in its place

The end of a call is not an error: it is an `EndReason`; `CallFailed` is raised only to somebody who awaits
an outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class QbcallError(Exception):
    """The root: catches everything that qbcall raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration."""

    path: str
    """Dotted path of the value, e.g. `call.answer_timeout`."""
    message: str
    """What is wrong, with the value and the limit."""
    origin: str
    """Which layer the value came from, e.g. `./qbcall.toml` or `environment QBCALL_CALL__MEDIA`."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message} (from {self.origin})"


class ConfigError(QbcallError):
    """The configuration is wrong; `problems` holds all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(QbcallError):
    """The application asked for something that cannot be done; nothing was sent."""


class InvalidState(UsageError):
    """A right request at the wrong moment, e.g. accepting a call that has ended."""


class InvalidArgument(UsageError, ValueError):
    """A wrong value; the message names the field, the value and the limit."""


class SignalFailed(QbcallError):
    """A typed signal was not sent, or nobody knows whether it was.

    `code`: 400 invalid type or data, 404 not in the call, 413 too long, 429 too many at once, 500 not connected or
    the reconnection failed (Vonage Video API: signal errors).
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code


class LinkError(QbcallError):
    """The chat link failed."""


class AuthError(LinkError):
    """The server refused the credentials."""


class ServerUnreachable(LinkError):
    """No such host, a refused port, or no answer."""


class InsecureLink(LinkError):
    """The link would not be safe: TLS missing or not trusted, or a weak login mechanism."""


class LinkDown(LinkError):
    """There is no chat link now."""


class DialectError(QbcallError):
    """What arrived cannot be understood."""


class Malformed(DialectError):
    """A stanza that breaks the rules of its dialect; the message names the field."""


class MediaError(QbcallError):
    """Audio, video, or the path between two peers."""


class SourceError(MediaError):
    """A source cannot be opened: file or device missing, unreadable or not media."""


class SinkError(MediaError):
    """A sink cannot be used: directory not writable, disk full, no display, no loudspeaker."""


class NegotiationError(MediaError):
    """The two sides have no common way to exchange media."""


class ProgramMissing(QbcallError):
    """A program is not installed; the message names how to install it."""


class ExpectationFailed(QbcallError):
    """A step of a scripted bot was not met."""


class CallFailed(QbcallError):
    """The awaited outcome of a call did not come."""

    def __init__(self, message: str, *, peer: str = "", info: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.peer = peer
        """Bare JID of the user whose leg decided, or empty."""
        self.info: Mapping[str, str] = info or {}
        """What that user said with it, e.g. with a reject."""


class Rejected(CallFailed):
    """The callee rejected the call."""


class Busy(Rejected):
    """The callee is in another call."""


class NoAnswer(CallFailed):
    """Nobody answered within the answer interval."""


class Cancelled(CallFailed):
    """The caller hung up, or another device of this user took the call, before this side accepted."""


class MediaFailed(CallFailed):
    """The call was accepted, but media could not be established."""


class CallLost(CallFailed):
    """The call was connected and then lost for longer than the disconnect interval."""


class PeerNotTrusted(CallFailed):
    """The call was connected, and another device wanted to take the place of the one that took part."""
