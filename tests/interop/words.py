"""What users tell each other: whatever may go wrong on the way through two XML writers."""

from __future__ import annotations

WORDS = {"topic": "a < b & \"c\" > 'd'", "greeting": "Grüße 👋🏽 日本", "empty": ""}
ANSWER = {"device": "ä&amp;<x/>", "mood": "🙂", "nothing": ""}
FAREWELL = {"why": "Ende & aus", "smile": "<🥨>", "nothing": ""}
BANDWIDTH = {"bandwidth": "0"}
"""The SDK puts it into every call: no limit."""
