"""Real servers on this machine, started by the program itself and never left behind."""

from orchestrator.supervise.guarded import Guarded
from orchestrator.supervise.keeper import Keeper
from orchestrator.supervise.local_redis import LocalRedis
from orchestrator.supervise.local_triton import LocalTriton

__all__ = ["Guarded", "Keeper", "LocalRedis", "LocalTriton"]
