"""Why a decision was made: names that are counter labels, so they do not change."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The deciding one stands first in a decision."""

    STEADY = "steady"
    """What is there is what is wanted."""

    LOAD_HIGH = "load_high"
    """Offered work over capacity is above the target load."""
    RISING = "rising"
    """It will be, by the time that a server asked for now is ready."""
    BACKLOG = "backlog"
    """Frames wait too long, or end late: more than the load alone calls for."""
    COLD_START = "cold_start"
    """The first work after there was no server."""
    INSTANCE_TRY = "instance_try"
    """One instance more in each server, to learn what it brings."""
    INSTANCE_GAIN = "instance_gain"
    """One instance more in each server: it is known to bring enough."""

    LOAD_LOW = "load_low"
    """Fewer do, and would have done for the whole window."""
    IDLE = "idle"
    """Nothing came for the whole idle time: no server is needed."""
    INSTANCE_GAIN_LOW = "instance_gain_low"
    """The last instance brings less than it should: no further one, or one less."""

    STABILISING = "stabilising"
    """Fewer would do now, but not for a whole window yet."""
    SETTLING = "settling"
    """A change was just made: its effect is awaited."""
    SURGE_LIMIT = "surge_limit"
    """More are wanted than may start at once."""
    AT_MINIMUM = "at_minimum"
    """Fewer would do; the minimum holds."""
    AT_MAXIMUM = "at_maximum"
    """More are wanted; the maximum holds."""
    CAPACITY_EXHAUSTED = "capacity_exhausted"
    """More are wanted; there is no slot for them."""
    DISPATCHER_SATURATED = "dispatcher_saturated"
    """Frames wait, but for a dispatcher: servers would not help."""
    SIGNALS_MISSING = "signals_missing"
    """Cost or load is not known: what is there is kept."""
    BACKING_OFF = "backing_off"
    """The engine failed the last change: it is left alone for a while."""

    FROZEN = "frozen"
    """The operator forbids any change."""
    MANUAL = "manual"
    """The operator set the number."""
