"""Head, then tail, is the whole network: to the bit where nothing is optimised, else in every decision."""

from pathlib import Path

import numpy as np
import pytest

from narrows.models.split.cuts import Cut, find_cuts
from narrows.models.split.halves import Runner, Values, take_apart
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network
from tests.workshop.split.networks import REAL, RESIDUAL, light, opened, picture_for

CUTS = 4
"""Of a network, evenly from its first cut to its last."""


def in_halves(network: Network, cut: Cut, picture: Values, *, optimised: bool) -> Values:
    halves = take_apart(network, cut)
    crossed = Runner(halves.head, optimised=optimised)(picture)
    return Runner(halves.tail, optimised=optimised)({name: crossed[name] for name in cut.names})


def check(network: Network, cuts: tuple[Cut, ...]) -> None:
    picture = {network.input.name: picture_for(network)}
    exact = Runner(network.model, optimised=False)(picture)
    close = Runner(network.model, optimised=True)(picture)
    assert all(np.isfinite(exact[name]).all() for name in network.outputs)
    for cut in cuts:
        plain = in_halves(network, cut, picture, optimised=False)
        fused = in_halves(network, cut, picture, optimised=True)
        for name in network.outputs:
            assert np.array_equal(plain[name], exact[name]), (cut.names, name)
            scale = max(1.0, float(np.abs(close[name]).max()))
            assert np.abs(fused[name] - close[name]).max() <= 1e-5 * scale, (cut.names, name)
            assert np.array_equal(fused[name].argmax(axis=1), close[name].argmax(axis=1)), (cut.names, name)


def some(network: Network) -> tuple[Cut, ...]:
    cuts = find_cuts(network)
    return tuple(cuts[i] for i in np.linspace(0, len(cuts) - 1, CUTS).astype(int))


def test_every_cut_of_a_small_network_gives_its_result(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    check(network, find_cuts(network))


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1", "resnet50", "densenet121"])
def test_networks_of_the_wheel_give_their_result(name: str, tmp_path: Path) -> None:
    network = open_network(light(name, tmp_path))
    check(network, some(network))


@pytest.mark.parametrize("name", ["classifier", "detector", "saliency", "text"])
def test_real_networks_give_their_result(name: str) -> None:
    network = REAL[name].opened()
    check(network, some(network))


def test_an_int8_network_gives_its_result_to_the_bit_where_int8_crosses() -> None:
    network = REAL["street encoder"].opened()
    picture = {network.input.name: picture_for(network)}
    whole = Runner(network.model, optimised=False)(picture)
    cuts = [cut for cut in find_cuts(network) if {tensor.dtype for tensor in cut.tensors} == {"int8"}]
    for cut in cuts[:: len(cuts) // 4]:
        plain = in_halves(network, cut, picture, optimised=False)
        assert all(np.array_equal(plain[name], whole[name]) for name in network.outputs)


def test_what_crosses_and_is_a_result_is_passed_on(tmp_path: Path) -> None:
    network = opened(RESIDUAL.replace("=> (float[1,5] result)", "=> (float[1,5] result, float[1,4,4,4] d)"), tmp_path)
    check(network, find_cuts(network))
