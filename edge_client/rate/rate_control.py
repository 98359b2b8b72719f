"""How many bytes a second the link shall be asked to carry.

After Google Congestion Control (G. Carlucci, L. De Cicco, S. Holmer, S. Mascolo, "Analysis and Design of the Google
Congestion Control for WebRTC", ACM MMSys 2016), its sender's side over acknowledged packets instead of RTP reports:

::

                  delay above        ┌──────────┐
              ┌─────────────────────►│ decrease │  to 0.85 of what the link takes, at most once a reaction time
              │                      └────┬─────┘
        ┌─────┴────┐  delay in between  ┌─▼────┐
        │ increase │◄──────────────────►│ hold │
        └──────────┘                    └──────┘
          doubles in a second, up to 0.95 of what the link takes

What differs: delay is measured from "coded" to "acknowledged" against the least round trip, so no gradient has to be
guessed; and how fast the link takes bytes is measured packet by packet (:mod:`edge_client.rate.goodput`): where GCC has
to grope for the capacity, it is known here. A link that answers nothing at all is away, not congested: the rate stays,
and frames are held back by their age (:mod:`edge_client.rate.governor`).
"""

from __future__ import annotations

import math

from edge_client.rate.goodput import LinkMeter

DELAY_MOST_S = 0.40
_DELAY_LITTLE_S = 0.20
_DECREASE, SHARE = 0.85, 0.95
_GROWTH_PER_S = 1.0
_LONGEST_STEP_S = 0.5


class RateControl:
    """The rate, bytes a second on the link. Pure but for its own state: times come from the deliveries."""

    def __init__(self) -> None:
        self.rate = math.inf
        self._updated_s = -math.inf
        self._decreased_s = -math.inf

    def resize(self, meter: LinkMeter, times: float) -> None:
        """Packets are so many times as large as before: the rate is that of as many, if the link takes it."""
        self.rate = min(self.rate * max(times, 1.0), SHARE * meter.service_bytes_per_s)

    def update(self, meter: LinkMeter, packet_bytes: float, floor: float, cap: float, now_s: float) -> float:
        """The rate after one more delivery.

        Args:
            meter: with the delivery in it.
            packet_bytes: what one packet takes now; the time of its bytes on the link is no queue.
            floor: the least rate.
            cap: the highest; where they cross, it holds.
            now_s: when it was acknowledged.
        """
        elapsed_s, self._updated_s = min(_LONGEST_STEP_S, max(0.0, now_s - self._updated_s)), now_s
        own_s = min(packet_bytes / meter.service_bytes_per_s, 1.0)
        if meter.delay_s > DELAY_MOST_S + own_s:
            self._decrease(meter, now_s)
        elif meter.delay_s < _DELAY_LITTLE_S + own_s:
            self._increase(elapsed_s)
        most = min(cap, SHARE * meter.service_bytes_per_s)
        self.rate = max(min(floor, cap), min(self.rate, most))
        return self.rate

    def _decrease(self, meter: LinkMeter, now_s: float) -> None:
        if now_s - self._decreased_s < DELAY_MOST_S + 2 * meter.base_s:
            return
        self.rate, self._decreased_s = _DECREASE * min(meter.service_bytes_per_s, self.rate), now_s

    def _increase(self, elapsed_s: float) -> None:
        self.rate *= 1 + elapsed_s * _GROWTH_PER_S
