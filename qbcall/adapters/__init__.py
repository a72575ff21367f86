"""The outside: the only users of slixmpp (xmpp) and aiortc (rtc)."""
