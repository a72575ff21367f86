"""Where users of qbcall and of the QuickBlox SDK meet: a server, a browser, and who is in a scenario."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from qbcall import Call, CallMedia, Config
from qbcall.devserver import DevServer
from tests.interop import sdk
from tests.interop.island import Island
from tests.interop.js_user import PATIENCE, JsUser, Seen, local_part
from tests.interop.own_browser import OwnBrowser
from tests.interop.py_user import Found, PyUser, settings
from tests.interop.table import Row

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright, Route

USERS = range(1001, 1007)
STRANGER = 2000
"""Calls every browser user at the end of a scenario, to see that it is not deaf."""
PAGE = Path(__file__).parent / "page"
ORIGIN = "http://localhost"
"""Pages there may use cameras (W3C Secure Contexts, section 3.1); no server is asked, see `_serve`."""
DEVICES = ("camera", "microphone")
FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str | None:
    """Path of the browser; None: there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Premises:
    """One server and one browser, for all scenarios."""

    def __init__(self) -> None:
        self.server = DevServer(accounts=[local_part(user) for user in (*USERS, STRANGER)])
        self._stack = AsyncExitStack()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    async def __aenter__(self) -> Self:
        from playwright.async_api import async_playwright

        try:
            await self._stack.enter_async_context(self.server)
            self._playwright = await self._stack.enter_async_context(async_playwright())
            self._browser = await self.launch(chromium() or "")
            self._stack.push_async_callback(self._browser.close)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def browser(self) -> Browser:
        """The running browser."""
        assert self._browser is not None, "entered"
        return self._browser

    async def launch(self, program: str, *flags: str) -> Browser:
        """Start one more browser; whoever asked for it closes it."""
        assert self._playwright is not None, "entered"
        return await self._playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])


class Room:
    """The users of one scenario; all leave when it is over."""

    def __init__(self, premises: Premises, scenario: str, rows: list[Row]) -> None:
        self.premises = premises
        self.server = premises.server
        self.browsers: list[JsUser] = []
        """Users of the SDK, in the order of their coming."""
        self._scenario = scenario
        self._rows = rows
        self._clients = AsyncExitStack()
        self._contexts = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()
        await self._contexts.aclose()

    async def browser(self, island: Island | None = None, *flags: str) -> OwnBrowser:
        """A browser for one user, for as long as the scenario lasts; of two like flags the later one counts."""
        http = (self.server.host, self.server.http_port)

        async def launch(program: str, mark: str) -> Browser:
            return await self.premises.launch(program, mark, *flags)

        return await OwnBrowser.open(self._contexts, launch, chromium() or "", http, island)

    async def js(
        self,
        user: int,
        *,
        cards: bool = True,
        permissions: Sequence[str] = DEVICES,
        browser: OwnBrowser | None = None,
        **webrtc: object,
    ) -> JsUser:
        """A user of the SDK, online, in a browser context of its own.

        Args:
            user: number of the account.
            cards: whether it shows test cards; else Chromium's own fake camera.
            permissions: what its page may use; cards need none.
            browser: if not the one that all share.
            webrtc: more of `QB.init`'s `webrtc`, e.g. `dialingTimeInterval=1`.
        """
        host, port = (browser.host, browser.port) if browser else (self.server.host, self.server.http_port)
        shared = browser.browser if browser else self.premises.browser
        context = await shared.new_context(permissions=permissions)
        self._contexts.push_async_callback(context.close)
        await context.route(f"{ORIGIN}/**", _serve)
        one = await JsUser.open(
            context,
            user,
            password=self.server.accounts[local_part(user)],
            address=f"{ORIGIN}/index.html",
            config=self._init(f"ws://{host}:{port}/xmpp-websocket", webrtc),
            cards=cards,
        )
        self.browsers.append(one)
        return one

    async def py(self, user: int, **sections: Mapping[str, object]) -> PyUser:
        """A user of qbcall, online; `sections` are added to its configuration, e.g. `call={"answer_timeout": 10}`."""
        one = PyUser(user, Config.of(**settings(self.server, user, sections)))
        await self._clients.enter_async_context(one.client)
        return one

    async def both_receive(
        self, py: PyUser, js: JsUser, call: Call, *, timeout: float = PATIENCE, note: str = ""
    ) -> None:
        """Wait until both sides decoded the other's own card and tone; a row of the table says how much."""
        video = call.media is CallMedia.VIDEO
        await call.connected(timeout)
        await js.expect("stream", user=py.user, session=call.id, timeout=timeout)
        found, seen = await asyncio.gather(
            py.receives(js.user, video=video, timeout=timeout),
            js.receives(py.user, video=video, session=call.id, timeout=timeout),
        )
        assert call.connected_at is not None
        names = (f"qbcall {py.user}", f"JS {js.user}")
        self.note(
            " > ".join(reversed(names) if call.incoming else names) + note,
            call.connected_at - call.created_at,
            found,
            seen,
        )

    def note(self, roles: str, connected: float, found: Found, seen: Seen) -> None:
        """Put a row into the table, see `Row`."""
        self._rows.append(
            Row(
                scenario=self._scenario,
                roles=roles,
                connected=connected,
                py_video=found.video_frames,
                py_audio=found.audio_frames,
                js_video=seen["frames"],
                js_audio=seen["packets"],
            )
        )

    async def prove_hearing(self, timeout: float = PATIENCE) -> None:
        """See that no user of the SDK was made deaf: each hears of one more call, and of its end.

        Raises:
            AssertionError: one does not.
        """
        await self._clients.aclose()
        if not self.browsers:
            return
        stranger = await self.py(STRANGER)
        for one in self.browsers:
            await one.leave()
            call = await stranger.call([one.user], video=False)
            await one.expect("call", session=call.id, timeout=timeout)
            await call.hang_up()
            await one.expect("stop", session=call.id, timeout=timeout)
            await call.ended()
            assert one.errors == [], f"{one.user}: exceptions in the page"

    def _init(self, websocket: str, webrtc: Mapping[str, object]) -> dict[str, object]:
        return {
            "endpoints": {"api": "127.0.0.1", "chat": self.server.domain},
            "chatProtocol": {"active": 2, "websocket": websocket},
            "streamManagement": {"enable": False},
            "debug": {"mode": 0},
            "webrtc": {"iceServers": [], **webrtc},
        }


async def _serve(route: Route) -> None:
    """Answer a request of a page."""
    name = route.request.url.removeprefix(f"{ORIGIN}/")
    path = sdk.SCRIPT if name == sdk.SCRIPT.name else PAGE / name
    if path.is_file():
        await route.fulfill(path=path)
    else:
        await route.fulfill(status=404)
