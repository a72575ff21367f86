"""What the exit code of a command says. The numbers are stable."""

from __future__ import annotations

import enum

from qbcall.core.model import EndReason
from qbcall.errors import (
    AuthError,
    CallLost,
    Cancelled,
    ConfigError,
    InsecureLink,
    LinkError,
    MediaError,
    MediaFailed,
    NoAnswer,
    PeerNotTrusted,
    ProgramMissing,
    Rejected,
    SignalFailed,
    SinkError,
    SourceError,
    UsageError,
)


class ExitCode(enum.IntEnum):
    """How a command went."""

    OK = 0
    """The expected outcome."""
    INTERNAL = 1
    """A fault of qbcall, or of a bot; please report the former."""
    USAGE = 2
    """The command cannot mean this; nothing was sent."""
    CONFIG = 3
    """The configuration is wrong, or there is no password."""
    AUTH = 4
    """The server refused the credentials."""
    UNREACHABLE = 5
    """The chat server was not reached, or was lost for good."""
    REJECTED = 6
    """Rejected, or busy."""
    NO_ANSWER = 7
    """Nobody answered, or the caller gave up before."""
    SECURITY = 8
    """The link would not be safe: TLS missing or not trusted, a weak login, plain text to another machine; or
    another device wanted to go on in the place of the one that took part in the call."""
    MEDIA = 9
    """Accepted, but media could not be established."""
    LOST = 10
    """Was connected, then lost for longer than the disconnect interval."""
    EXPECTATION = 11
    """Not what `--expect` names, or a bot's expectation was not met."""
    MISSING = 12
    """A device, file or program is missing or cannot be used."""
    NOT_SENT = 13
    """A typed signal was not sent, or nobody knows whether it was."""
    WARNING = 14
    """`doctor`: nothing failed, but something is worth a look."""
    TIMEOUT = 124
    """`--timeout` is over."""
    INTERRUPTED = 130
    """Ctrl-C, or SIGTERM."""


class Outcome(enum.Enum):
    """How a call went, in the words of `--expect`."""

    ANSWERED = "answered"
    """Connected, and ended by a hang-up."""
    REJECTED = "rejected"
    """The other side rejected it."""
    BUSY = "busy"
    """The other side is in another call."""
    NO_ANSWER = "no-answer"
    """The other side did not answer."""
    MISSED = "missed"
    """This side did not answer."""
    CANCELLED = "cancelled"
    """The caller hung up before it was accepted."""
    DECLINED = "declined"
    """This side rejected it."""
    MEDIA_FAILED = "media-failed"
    """Accepted, but media was not connected, at last."""
    LOST = "lost"
    """Connected, then lost."""
    SECURITY = "security"
    """Connected, then another device wanted to go on in the place of the one that took part."""


OUTCOMES: dict[tuple[EndReason, bool], Outcome] = {
    (EndReason.HUNG_UP, False): Outcome.CANCELLED,
    (EndReason.REMOTE_HUNG_UP, False): Outcome.MEDIA_FAILED,
    (EndReason.CANCELLED, False): Outcome.CANCELLED,
    (EndReason.DECLINED, False): Outcome.DECLINED,
    (EndReason.REJECTED, False): Outcome.REJECTED,
    (EndReason.BUSY, False): Outcome.BUSY,
    (EndReason.NO_ANSWER, False): Outcome.NO_ANSWER,
    (EndReason.MISSED, False): Outcome.MISSED,
    (EndReason.ELSEWHERE, False): Outcome.MISSED,
    (EndReason.MEDIA_FAILED, False): Outcome.MEDIA_FAILED,
    (EndReason.MEDIA_FAILED, True): Outcome.MEDIA_FAILED,
    (EndReason.DISCONNECT_TIMEOUT, False): Outcome.LOST,
    (EndReason.DISCONNECT_TIMEOUT, True): Outcome.LOST,
    (EndReason.SECURITY, False): Outcome.SECURITY,
    (EndReason.SECURITY, True): Outcome.SECURITY,
}
"""Why a call ended and whether it was ever connected -> how it went. Connected, and not here: answered."""

CODES_OF_OUTCOMES: dict[Outcome, ExitCode] = {
    Outcome.ANSWERED: ExitCode.OK,
    Outcome.REJECTED: ExitCode.REJECTED,
    Outcome.BUSY: ExitCode.REJECTED,
    Outcome.NO_ANSWER: ExitCode.NO_ANSWER,
    Outcome.MISSED: ExitCode.NO_ANSWER,
    Outcome.CANCELLED: ExitCode.NO_ANSWER,
    Outcome.DECLINED: ExitCode.OK,
    Outcome.MEDIA_FAILED: ExitCode.MEDIA,
    Outcome.LOST: ExitCode.LOST,
    Outcome.SECURITY: ExitCode.SECURITY,
}

CODES_OF_ERRORS: dict[type[Exception], ExitCode] = {
    Exception: ExitCode.INTERNAL,
    ConfigError: ExitCode.CONFIG,
    UsageError: ExitCode.USAGE,
    LinkError: ExitCode.UNREACHABLE,
    AuthError: ExitCode.AUTH,
    InsecureLink: ExitCode.SECURITY,
    MediaError: ExitCode.MEDIA,
    SourceError: ExitCode.MISSING,
    SinkError: ExitCode.MISSING,
    ProgramMissing: ExitCode.MISSING,
    Rejected: ExitCode.REJECTED,
    NoAnswer: ExitCode.NO_ANSWER,
    Cancelled: ExitCode.NO_ANSWER,
    MediaFailed: ExitCode.MEDIA,
    CallLost: ExitCode.LOST,
    PeerNotTrusted: ExitCode.SECURITY,
    SignalFailed: ExitCode.NOT_SENT,
}
"""Class of error -> code; the nearest class above an error counts."""


def outcome_of(reason: EndReason, connected: bool) -> Outcome:
    """How a call went that ended like this; `connected`: it ever was."""
    return OUTCOMES.get((reason, connected), Outcome.ANSWERED)


def code_of_error(error: Exception) -> ExitCode:
    """The exit code for an error; of a group, that of the first one that says more than "internal"."""
    if isinstance(error, ExceptionGroup):
        codes = [code_of_error(part) for part in error.exceptions]
        return next((code for code in codes if code is not ExitCode.INTERNAL), ExitCode.INTERNAL)
    return next(CODES_OF_ERRORS[kind] for kind in type(error).__mro__ if kind in CODES_OF_ERRORS)
