"""Nobody but the chat server, and the components that are named, sends signals as the server (VZ-006)."""

from __future__ import annotations

from typing import Any

from qbcall.core.inputs import Arrived, FromServer
from qbcall.devserver import DevServer
from tests.adapters.xmpp_room import flushed, online, run, stranger
from tests.prosody import settings

FORGED = (
    "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>update</signalType>"
    "<sessionID>one</sessionID><userInfo><sigType>chat</sigType><sigData>{}</sigData></userInfo></extraParams>"
)


def test_client_cannot_pass_for_the_server() -> None:
    """VZ-006."""

    async def scenario() -> None:
        async with (
            DevServer() as server,
            online(settings(server, "bob")) as (bob, heard, device),
            stranger(settings(server)) as ann,
        ):
            senders = (
                "localhost",
                "LOCALHOST",
                "localhost/x",
                "@localhost",
                "",
                "bob@localhost",
                "signals.localhost",
            )
            for number, sender in enumerate(senders):
                for to in (device, "bob@localhost"):
                    body = FORGED.format(number)
                    ann.write(f"<message from='{sender}' to='{to}' type='headline' id='x'>{body}</message>")
            await flushed(ann, bob)
            arrived = heard.all(Arrived)
            assert heard.all(FromServer) == []
            assert all(what.sender == "ann@localhost" for what in arrived)
            shown: list[Any] = [what.signal for what in arrived]
            assert [message.data for message in shown] == [str(n) for n in range(len(senders)) for _ in range(2)]

    run(scenario)
