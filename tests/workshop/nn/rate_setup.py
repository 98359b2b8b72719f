"""Two classes, a plan and what a head learns by, as the tests of the rate table have them."""

import numpy as np
import torch

from benchmarks.rate.heads import Setup
from benchmarks.rate.plan import Plan
from benchmarks.rate.views import Views
from narrows.models.dataset import ClassList

CLASSES = ClassList(("road", "sky"), 255, (32, 32), ((0, 0, 0),) * 2)
PLAN = Plan(batch=4, held_out_drive="b", held_out=2)
LABELS = np.zeros((32, 32), np.uint8)


def setup(levels: int) -> Setup:
    chance = np.random.default_rng(2)
    views = Views(
        np.full((8, 1, 2, 2), 0.6, np.float32),
        chance.normal(size=(8, 40, 4, 4)).astype(np.float16),
        chance.normal(size=(8, 320, 2, 2)).astype(np.float16),
        np.zeros((8, 32, 32), np.uint8),
    )
    gains = 10.0 ** -torch.arange(levels)[:, None]
    return Setup(views, views, gains, torch.ones(2), CLASSES)
