"""A user of qbcall: a client over the real server, with everything it is told and shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from qbcall import Call, CallMedia, Client, Config, Event, IncomingCall, PeerEvent, User
from qbcall.adapters.xmpp import XmppLink
from qbcall.call import SinkSpec
from qbcall.core.inputs import Arrived, Input, Post
from qbcall.devserver import DevServer
from qbcall.dialects.quickblox import QuickBlox
from qbcall.media.frames import Frame
from qbcall.media.verify import Verifier
from tests.interop.heard import Heard
from tests.interop.js_user import PATIENCE, local_part
from tests.interop.telling_link import Sent, TellingLink

E = TypeVar("E", bound=Event)
ENOUGH_CARDS = 10


@dataclass(frozen=True, slots=True)
class Found:
    """What `verify` found in what one user sends."""

    video_frames: int
    cards: int
    audio_frames: int
    name_ok: bool
    tone_ok: bool


NOTHING = Found(0, 0, 0, name_ok=False, tone_ok=False)


class PyUser:
    """Online while its client is entered."""

    def __init__(self, user: int, config: Config) -> None:
        self.user = user
        self.heard: Heard[Event] = Heard(f"qbcall {user}")
        self.sent: Heard[Sent] = Heard(f"wire of qbcall {user}")
        """Signals, as they were given to the chat link."""
        self.got: Heard[Arrived] = Heard(f"wire to qbcall {user}")
        """Signals, as they came from it."""
        self.client = client = Client(config, link=self._link)
        self._settings = config.xmpp_settings()
        self._verifier = Verifier()
        self._news = asyncio.Event()
        client.on(Event)(self.heard.add)

    def jid(self, user: int) -> User:
        """The JID of a user."""
        return User(f"{local_part(user)}@{self.client.user.partition('@')[2]}")

    # -- what the user does ------------------------------------------------------------------------------------------

    async def call(self, users: Sequence[int], *, video: bool = True, info: Mapping[str, str] | None = None) -> Call:
        """Call users."""
        media = CallMedia.VIDEO if video else CallMedia.AUDIO
        return await self.client.call([self.jid(user) for user in users], media=media, info=info, sinks=self._sinks())

    async def ringing(self, user: int | None = None, timeout: float = PATIENCE) -> Call:
        """The next call that rings here, maybe of a certain caller."""
        event = await self.heard.expect(
            lambda event: isinstance(event, IncomingCall) and (user is None or event.caller == self.jid(user)),
            f"IncomingCall of {user}",
            timeout,
        )
        assert isinstance(event, IncomingCall)
        return self.client.calls[event.call]

    async def accept(self, call: Call, info: Mapping[str, str] | None = None) -> None:
        """Accept a call."""
        await call.accept(info, sinks=self._sinks())

    # -- what the user is told and shown -----------------------------------------------------------------------------

    async def expect(
        self, event_class: type[E], *, user: int | None = None, call: Call | None = None, timeout: float = PATIENCE
    ) -> E:
        """The next event of a class; one that came already counts, once.

        Raises:
            AssertionError: it did not come in time.
        """

        def wanted(event: Event) -> bool:
            return (
                isinstance(event, event_class)
                and (user is None or (isinstance(event, PeerEvent) and event.peer == self.jid(user)))
                and (call is None or getattr(event, "call", None) == call.id)
            )

        found = await self.heard.expect(wanted, f"{event_class.__name__} of {user}", timeout)
        assert isinstance(found, event_class)
        return found

    def told(self, event_class: type[E]) -> list[E]:
        """Every event of a class so far."""
        return [event for event in self.heard.all if isinstance(event, event_class)]

    def found(self, user: int) -> Found:
        """What came from a user in the latest call."""
        report = self._verifier.report(self.jid(user))
        if report is None:
            return NOTHING
        return Found(**{name: report[name] for name in Found.__slots__})  # type: ignore[arg-type]  # as `verify` says

    async def receives(
        self, user: int, *, video: bool = True, more: Found = NOTHING, timeout: float = PATIENCE
    ) -> Found:
        """Wait until a user's own test card and tone came.

        Args:
            user: who sends test card and tone of its name.
            video: whether the picture is waited for too.
            more: what came before, and does not count.
            timeout: seconds.

        Raises:
            AssertionError: they did not come in time.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._enough(self.found(user), more, video):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"qbcall {self.user}: of {user} came only {self.found(user)}") from None
        return self.found(user)

    # -- details -----------------------------------------------------------------------------------------------------

    def _link(self, user: User, post: Post) -> TellingLink:
        def note(what: Input) -> None:
            if isinstance(what, Arrived):
                self.got.add(what)
            post(what)

        return TellingLink(XmppLink(self._settings, QuickBlox(user), note), self.sent)

    @staticmethod
    def _enough(found: Found, before: Found, video: bool) -> bool:
        heard = found.tone_ok and found.audio_frames >= before.audio_frames + ENOUGH_CARDS
        return heard and (not video or (found.name_ok and found.cards >= before.cards + ENOUGH_CARDS))

    def _sinks(self) -> list[SinkSpec]:
        self._verifier = verifier = Verifier()

        def write(user: User, frame: Frame) -> None:
            verifier.write(user, frame)
            self._news.set()

        return [write]


def settings(server: DevServer, user: int, sections: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """The configuration of a user of that server; sections are added to, value by value."""
    usual: dict[str, dict[str, object]] = {
        "account": {
            "jid": f"{local_part(user)}@{server.domain}",
            "password": server.accounts[local_part(user)],
            "server": f"{server.host}:{server.port}",
            "plaintext": True,
        },
        "ice": {"addresses": ["127.0.0.1"]},
        "media": {"source": "test:size=320x240,fps=15", "sinks": ["null"]},
    }
    return {name: usual.get(name, {}) | dict(sections.get(name, {})) for name in {**usual, **sections}}
