"""From symbols to label maps on Triton, and what that costs."""

from orchestrator.inference.contract import Decoder, Slot
from orchestrator.inference.decoder import TritonDecoder
from orchestrator.inference.load import LoadMeter, LoadReading

__all__ = ["Decoder", "LoadMeter", "LoadReading", "Slot", "TritonDecoder"]
