"""The table of checks, in the order in which they run: what a check needs comes before it."""

from __future__ import annotations

from qbcall.doctor import calls, chat, ice
from qbcall.doctor.examination import Check
from qbcall.errors import MediaError, ServerUnreachable

CHECKS = (
    Check("dns", "looking up the chat server", 10, chat.check_dns, ServerUnreachable),
    Check("server", "logging in", 30, chat.check_chat, ServerUnreachable),
    Check("addresses", "looking at this machine's addresses", 5, ice.check_addresses, MediaError),
    Check("stun", "asking STUN servers", 10, ice.check_stun, MediaError),
    Check("turn", "asking TURN servers", 15, ice.check_turn, MediaError),
    Check("mtu", "measuring how large packets may be", 15, ice.check_mtu, MediaError),
    Check("call-direct", "a call to itself, direct", calls.LIMIT, calls.check_direct, MediaError),
    Check("call-relay", "a call to itself, through TURN", calls.LIMIT, calls.check_relay, MediaError),
)
