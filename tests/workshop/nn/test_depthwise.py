"""A depthwise convolution's own gradients are those of PyTorch."""

import pytest
import torch
from torch.nn import functional

from narrows.models.nn.efficientnet_lite import Depthwise


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (5, 1, 1), (5, 1, 2), (3, 1, 6), (3, 2, 1), (5, 2, 1)]
)
def test_answers_and_gradients_are_those_of_a_plain_convolution(kernel: int, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    margin = dilation * (kernel // 2)
    layer = Depthwise(6, 6, kernel, stride, margin, dilation, 6, bias=False)
    x = torch.randn(2, 6, 11, 9, requires_grad=True)
    own = layer(x)
    plain = functional.conv2d(x, layer.weight, None, stride, margin, dilation, 6)
    torch.testing.assert_close(own, plain)
    towards = torch.randn_like(own)
    torch.testing.assert_close(
        torch.autograd.grad(own, (x, layer.weight), towards),
        torch.autograd.grad(plain, (x, layer.weight), towards),
        rtol=1e-4,
        atol=1e-5,
    )


def test_autocast_leaves_it_in_float32() -> None:
    layer = Depthwise(4, 4, 5, 1, 4, 2, 4, bias=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(1, 4, 8, 8).bfloat16()).dtype == torch.float32
