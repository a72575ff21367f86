"""A user of the unmodified QuickBlox SDK, in a browser page of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from qbcall.media.frames import VideoFormat
from qbcall.media.tone import pitch_of
from tests.interop.cards import FORMAT, card_of, card_urls, noise_urls
from tests.interop.heard import Heard
from tests.interop.wire import Signal, signal_of

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, WebSocket

PATIENCE = 20.0
"""Seconds that something may take on a busy machine."""
TOLERANCE = 8.0
"""Hertz by which a pitch measured in a browser may be off; one bin of its spectrum is 3 Hz wide."""
ENOUGH_FRAMES, ENOUGH_PACKETS = 10, 25
APPLICATION = 77


def local_part(user: int) -> str:
    """The name of a QuickBlox user in JIDs; the test card shows it."""
    return f"{user}-{APPLICATION}"


@dataclass(frozen=True, slots=True)
class JsEvent:
    """What a listener of the SDK heard."""

    kind: str
    """`call`, `accept`, `reject`, `stop`, `update`, `invalid`, `no_answer`, `stream`, `state`, `reconnect`, `close`,
    `stats`, `offline`, `online`."""
    session: str
    user: int
    """0: nobody in particular."""
    info: Mapping[str, object] | None
    detail: str
    """State, name of the invalid event, kinds of tracks, or type of the call (1 video, 2 audio)."""
    at: float
    """Milliseconds on the page's clock."""


class Seen(TypedDict):
    """What the browser's own statistics say about one user."""

    width: int
    height: int
    frames: int
    packets: int
    sent_frames: int
    sent_packets: int
    codec: str


class Rates(NamedTuple):
    """Kilobit per second."""

    received: float
    sent: float


class JsUser:
    """Logged in from `open` to `close`."""

    def __init__(self, user: int, page: Page) -> None:
        self.user = user
        self.name = local_part(user)
        self.page = page
        """For what a test wants besides."""
        self.heard: Heard[JsEvent] = Heard(f"JS {user}")
        self.signals: Heard[Signal] = Heard(f"wire of JS {user}")
        """Call signals on its chat connection, in both directions."""
        self.errors: list[str] = []
        """Exceptions that nobody caught in the page."""

    @classmethod
    async def open(
        cls,
        context: BrowserContext,
        user: int,
        *,
        password: str,
        address: str,
        config: Mapping[str, object],
        cards: bool,
    ) -> JsUser:
        """Load the page, and log in.

        Args:
            context: of this user alone.
            user: its number.
            password: of the account.
            address: of the page.
            config: for `QB.init`.
            cards: show qbcall's test cards and play the tone of the name; else what Chromium's fake device gives.
        """
        page = await context.new_page()
        self = cls(user, page)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", self._tap)
        await page.expose_binding("tell", lambda source, event: self.heard.add(JsEvent(**event)))
        await page.goto(address)
        if cards:
            await self.add_camera(self.name)
        await page.evaluate("(words) => agent.connect(...words)", [user, password, dict(config)])
        return self

    # -- what the user does ------------------------------------------------------------------------------------------

    async def call(
        self,
        users: Sequence[int],
        *,
        video: bool = True,
        info: Mapping[str, object] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> str:
        """Call users; the id of the session is given back."""
        words = [list(users), video, dict(info or {}), dict(options or {})]
        return str(await self.page.evaluate("(words) => agent.call(...words)", words))

    async def accept(self, info: Mapping[str, object] | None = None, session: str = "") -> None:
        """Accept the latest call, or that of a session."""
        await self._do("accept", dict(info or {}), session)

    async def reject(self, info: Mapping[str, object] | None = None, session: str = "") -> None:
        """Reject it."""
        await self._do("reject", dict(info or {}), session)

    async def stop(self, info: Mapping[str, object] | None = None, session: str = "") -> None:
        """Hang up, or cancel."""
        await self._do("stop", dict(info or {}), session)

    async def update(self, info: Mapping[str, object], session: str = "", to: int | None = None) -> None:
        """Tell application data."""
        await self._do("update", {"userInfo": dict(info)}, session, to)

    async def mute(self, kind: str, on: bool = True, session: str = "") -> None:
        """Mute `audio` or `video`, or not any more."""
        await self._do("mute" if on else "unmute", kind, session)

    async def add_camera(self, name: str, device: str = "", format: VideoFormat = FORMAT) -> None:
        """One more camera, and a microphone with it: they give the test cards and the tone of a name.

        Args:
            name: on the cards.
            device: how it is called; empty: the one that is used at first, and cannot be changed to.
            format: its size.
        """
        await self._do("wear", card_urls(name, format), pitch_of(name), device)

    async def add_noise(self, device: str) -> None:
        """One more camera, whose picture no encoder makes small."""
        await self._do("wear", noise_urls(), pitch_of(device), device)

    async def change_camera(self, device: str) -> None:
        """Use the camera and the microphone of that name."""
        await self._do("change", device)

    async def share_screen(self, device: str) -> None:
        """Show the picture of that camera as a screen, and keep the microphone."""
        await self._do("share", device)

    async def leave(self) -> None:
        """Stop all sessions that live."""
        await self._do("leave")

    # -- what the user hears and sees --------------------------------------------------------------------------------

    async def expect(
        self,
        kind: str,
        *,
        user: int | None = None,
        session: str | None = None,
        detail: str | None = None,
        timeout: float = PATIENCE,
    ) -> JsEvent:
        """The next event of a kind; one that came already counts, once.

        Raises:
            AssertionError: it did not come in time.
        """
        wished = {"kind": kind, "user": user, "session": session, "detail": detail}
        given = {name: value for name, value in wished.items() if value is not None}
        return await self.heard.expect(
            lambda event: all(getattr(event, name) == value for name, value in given.items()), str(given), timeout
        )

    def kinds(self) -> list[str]:
        """The kinds of all events so far, without states and statistics."""
        return [event.kind for event in self.heard.all if event.kind not in ("state", "stats")]

    async def seen(self, user: int, session: str = "") -> Seen:
        """What was decoded from a user so far, and sent to it."""
        found: Seen = await self.page.evaluate("(words) => agent.seen(...words)", [user, session])
        return found

    async def bit_rates(self, user: int, session: str, seconds: float) -> Rates:
        """Kilobit per second of picture, as media without headers, from and to a user in the coming seconds."""
        first = await self._traffic(user, session)
        enough = "async (user, session, at) => (await agent.traffic(user, session)).at >= at"
        await self.until(enough, user, session, first["at"] + seconds * 1000, timeout=seconds + PATIENCE)
        last = await self._traffic(user, session)
        milliseconds = last["at"] - first["at"]
        return Rates(*(8 * (last[way] - first[way]) / milliseconds for way in ("received", "sent")))

    async def picture(self, user: int) -> str:
        """The picture that is shown of a user now, as a data URL of a PNG; empty: none yet."""
        return str(await self.page.evaluate("(user) => agent.picture(user)", user))

    async def pitch(self, user: int) -> float:
        """The strongest frequency heard from a user now, in hertz; 0: silence."""
        return float(await self.page.evaluate("(user) => agent.pitch(user)", user))

    async def until(self, condition: str, *words: object, timeout: float = PATIENCE) -> None:
        """Wait until a JavaScript function, applied to `words`, gives true or a promise of it.

        Raises:
            AssertionError: it does not, in time.
        """
        look = f"([words, patience]) => agent.until({condition}, words, patience)"
        true = await self.page.evaluate(look, [list(words), timeout * 1000])
        assert true, f"JS {self.user}: not within {timeout:g} s, for {words}: {condition}"

    async def receives(
        self, user: int, *, video: bool = True, session: str = "", more: int = 0, timeout: float = PATIENCE
    ) -> Seen:
        """Wait until a user's own test card and tone were decoded here.

        Args:
            user: who sends `test` under its name.
            video: whether the picture is waited for too.
            session: which; default: the latest.
            more: frames and packets that were decoded before, which do not count.
            timeout: seconds.
        """
        frames, packets = (ENOUGH_FRAMES if video else 0) + (more if video else 0), ENOUGH_PACKETS + more
        await self.until(
            """async (user, session, frames, packets) => {
                const found = await agent.seen(user, session);
                return found.frames >= frames && found.packets >= packets;
            }""",
            user,
            session,
            frames,
            packets,
            timeout=timeout,
        )
        pitch = pitch_of(local_part(user))
        near = "(user, wanted, off) => Math.abs(agent.pitch(user) - wanted) <= off"
        await self.until(near, user, pitch, TOLERANCE, timeout=timeout)
        if video:
            await self.sees_card(user, timeout=timeout)
        return await self.seen(user, session)

    async def sees_card(self, user: int, *, timeout: float = PATIENCE) -> int:
        """Wait until the card of a user can be read from its picture; the card's counter is given back.

        Raises:
            TimeoutError: it cannot, in time.
            AssertionError: it is the card of somebody else.
        """
        async with asyncio.timeout(timeout):
            while (card := card_of(await self.picture(user))) is None:
                pass
        assert card.name == local_part(user)
        return card.counter

    # -- details -----------------------------------------------------------------------------------------------------

    async def _traffic(self, user: int, session: str) -> dict[str, float]:
        found: dict[str, float] = await self.page.evaluate("(words) => agent.traffic(...words)", [user, session])
        return found

    async def _do(self, name: str, *words: object) -> None:
        await self.page.evaluate("([name, words]) => agent[name](...words)", [name, list(words)])

    def _tap(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda text: self._note(text, sent=True))
        socket.on("framereceived", lambda text: self._note(text, sent=False))

    def _note(self, text: str | bytes, *, sent: bool) -> None:
        signal = signal_of(text if isinstance(text, str) else text.decode(), sent, asyncio.get_running_loop().time())
        if signal is not None:
            self.signals.add(signal)
