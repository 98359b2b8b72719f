"""The queries that only a GPU answers. A test asserts that they are the only ones without data where there is none."""

from __future__ import annotations

GPU_USE = 'avg by (server) (nv_gpu_utilization{server=~"$replica"})'
GPU_MEMORY = (
    'sum by (server) (nv_gpu_memory_used_bytes{server=~"$replica"})'
    ' / sum by (server) (nv_gpu_memory_total_bytes{server=~"$replica"})'
)
GPU_POWER = 'sum by (server) (nv_gpu_power_usage{server=~"$replica"})'
NEED_A_GPU = frozenset({GPU_USE, GPU_MEMORY, GPU_POWER})
