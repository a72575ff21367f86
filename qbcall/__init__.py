"""Audio and video calls from Python over any XMPP server."""

__version__ = "0.1.0"
