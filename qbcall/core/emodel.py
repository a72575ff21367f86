"""How people would judge a voice call, estimated from delay and loss. Pure.

The E-model (ITU-T Rec. G.107, 06/2015) adds up what impairs a call to a rating R, and maps that to a mean opinion
score (MOS). This is its usual short form for packet networks:

    R = 93.2 - Id - Ie,eff
    Id = 0.024 d + 0.11 (d - 177.3) where d > 177.3       d: one-way delay from mouth to ear, in ms
    Ie,eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)             Ppl: lost packets in percent, lost at random

93.2 is R with all of G.107's defaults (table 3), for d = 0. Id is the straight line through G.107's delay impairment
that Cole and Rosenbluth found (Voice over IP performance monitoring, 2001, section 3.2). Ie,eff is equation (7-29)
with BurstR = 1. MOS is G.107, annex B.

Limits. It is a model of narrow-band telephony: 4.5 is the best that it can say, however good Opus sounds. ITU-T gives
no Ie and Bpl for Opus: Ie = 0, and Bpl = 25.1 of G.711 with concealment (G.113, appendix I), stand in for them.
Echo, noise and loudness are taken to be perfect; losses in bursts hurt more than it says. It is good to compare two
minutes of a call or two networks, not to say what a person would.
"""

from __future__ import annotations

BEST = 93.2
"""R without any impairment."""
IE = 0.0
"""Impairment by the codec."""
BPL = 25.1
"""Robustness of the codec against loss, in percent."""
KNEE = 177.3
"""Milliseconds of delay from which a conversation suffers."""
HELD = 0.045
"""Seconds that are not the network's: 20 ms of sound in a block, Opus' look-ahead of 5 ms (RFC 6716, section 2), and
20 ms that a receiver holds."""


def rating(delay: float, loss: float) -> float:
    """The rating factor R.

    Args:
        delay: one way from mouth to ear, in seconds, at least 0.
        loss: part of the packets that is lost, 0 to 1.
    """
    late = delay * 1e3
    percent = 100 * min(max(loss, 0.0), 1.0)
    slow = 0.024 * late + 0.11 * max(0.0, late - KNEE)
    return BEST - slow - (IE + (95 - IE) * percent / (percent + BPL))


def opinion(r: float) -> float:
    """The mean opinion score for a rating, 1 to 4.5 (G.107, annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r))


def mos(round_trip: float | None, jitter: float | None, loss: float | None) -> float | None:
    """The score of sound over a network; None: too little is known.

    The delay from mouth to ear is taken to be half a round trip, twice the jitter, and `HELD`.

    Args:
        round_trip: seconds.
        jitter: seconds (RFC 3550, section 6.4.1); None counts as 0.
        loss: part of the packets that is lost, 0 to 1.
    """
    if round_trip is None or loss is None:
        return None
    return opinion(rating(max(round_trip, 0.0) / 2 + 2 * max(jitter or 0.0, 0.0) + HELD, loss))
