"""What crosses in fewer bits: quantised by channel, coded, and back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from narrows.contract.bundle.split_plan import TensorPlan, pack_plan, read_plan
from narrows.contract.codec.tensor_coder import TensorCoder, fit_coder
from narrows.contract.codec.tensor_quantiser import fitting_shape, plane_shape
from narrows.contract.errors import FieldInvalid, PayloadUndecodable
from narrows.models.split.cuts import cut_at
from narrows.models.split.design import fit_coders, fit_rounding, fit_tensor_coder, ideal_bytes
from narrows.models.split.halves import Runner, Values, take_apart
from narrows.models.split.quantiser import by_range, by_sensitivity
from narrows.models.split.sensitivity import measure_sensitivity
from tests.workshop.split.networks import RESIDUAL, opened

_DRAWN = np.random.default_rng(3)
"""For what all tests share; each draws from a generator of its own, so that it holds alone and in any order."""
RECTIFIED = np.maximum(_DRAWN.standard_normal((6, 4, 9, 7)), 0).astype(np.float32) * np.array([1, 9, 0.1, 3])[
    :, None, None
].astype(np.float32)
SIGNED = _DRAWN.standard_normal((6, 4, 9, 7)).astype(np.float32)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8, 16])
@pytest.mark.parametrize("planes", [RECTIFIED, SIGNED], ids=["rectified", "signed"])
def test_a_channel_has_as_many_values_as_its_bits_give(bits: int, planes: np.ndarray) -> None:
    quantiser = by_range(planes, bits)
    assert ((quantiser.most - quantiser.least) <= 2**bits - 1).all()
    symbols = quantiser.symbols(planes)
    assert (symbols >= quantiser.least[:, None, None]).all()
    assert (symbols <= quantiser.most[:, None, None]).all()


def test_the_error_is_half_a_step_within_the_range() -> None:
    quantiser = by_range(SIGNED, 8)
    least, most = ((each + quantiser.shift) * quantiser.step for each in (quantiser.least, quantiser.most))
    inside = np.clip(SIGNED, least[:, None, None], most[:, None, None])
    error = np.abs(quantiser.values(quantiser.symbols(SIGNED)) - inside)
    assert (error <= 0.501 * quantiser.step[:, None, None]).all()


def test_sixteen_bits_lose_next_to_nothing() -> None:
    quantiser = by_range(RECTIFIED, 16)
    assert np.abs(quantiser.values(quantiser.symbols(RECTIFIED)) - RECTIFIED).max() < 1e-3


def test_zero_stays_zero_and_is_the_symbol_zero_of_what_is_rectified() -> None:
    quantiser = by_range(RECTIFIED, 3)
    symbols = quantiser.symbols(RECTIFIED)
    assert (symbols[RECTIFIED == 0] == 0).all()
    assert (quantiser.values(symbols)[RECTIFIED == 0] == 0).all()


def test_a_channel_that_is_mostly_at_its_ceiling_has_symbol_zero_there() -> None:
    planes = np.full((2, 1, 4, 4), 6, dtype=np.float32)
    planes[:, :, 0] = 0.5
    quantiser = by_range(planes, 4)
    assert quantiser.symbols(planes)[0, 0, 3, 3] == 0
    assert quantiser.values(quantiser.symbols(planes))[0, 0, 3, 3] == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("sensitivity", [None, np.array([1.0, 2.0, 0.5, 4.0])], ids=["by range", "by sensitivity"])
@pytest.mark.parametrize("planes", [RECTIFIED, SIGNED], ids=["rectified", "signed"])
def test_from_eight_bits_on_no_picture_is_clipped_whatever_calibration_has_seen(
    bits: int, sensitivity: NDArray[np.float64] | None, planes: np.ndarray
) -> None:
    quantiser = by_range(planes, bits) if sensitivity is None else by_sensitivity(planes, bits, sensitivity)
    beyond = planes[0] * np.float32(min(20, 2 ** (17 - bits)))
    beyond[0, 0, 0] = -beyond.max() / 4  # below what is rectified
    error = np.abs(quantiser.values(quantiser.symbols(beyond)) - beyond)
    step = quantiser.step[:, None, None]
    assert (error <= 0.501 * step + 1e-3)[np.abs(beyond) < np.float32(2**15) * step].all()
    coder = fit_tensor_coder([quantiser.symbols(each) for each in planes], quantiser)
    symbols = quantiser.symbols(beyond)
    assert np.array_equal(coder.decode(coder.encode(symbols), symbols.shape), symbols)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("sensitivity", [None, np.array([1.0, 2.0, 0.5, 4.0])], ids=["by range", "by sensitivity"])
def test_a_channel_may_go_as_far_as_the_widest_has_gone(bits: int, sensitivity: NDArray[np.float64] | None) -> None:
    """A hundred times its own range; at 16 bits that would take more symbols than there are."""
    planes = SIGNED * np.array([1, 0.01, 1, 1], np.float32)[:, None, None]
    quantiser = by_range(planes, bits) if sensitivity is None else by_sensitivity(planes, bits, sensitivity)
    error = np.abs(quantiser.values(quantiser.symbols(SIGNED)) - SIGNED)
    assert (error <= 0.501 * quantiser.step[:, None, None] + 1e-6).all()
    own = np.ptp(planes, axis=(0, 2, 3)) / 255
    assert sensitivity is not None or (quantiser.step <= own * 1.001).all()


def test_at_eight_bits_what_is_rare_at_calibration_is_not_clipped_either(random: np.random.Generator) -> None:
    planes = random.standard_normal((4, 1, 40, 40)).astype(np.float32)
    planes[0, 0, 0, 0] = 60
    quantiser = by_range(planes, 8)
    assert np.abs(quantiser.values(quantiser.symbols(planes)) - planes).max() <= 0.501 * quantiser.step[0]
    assert quantiser.step[0] == pytest.approx((60 - planes.min()) / 255)


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("sensitivity", [None, np.array([1.0, 2.0, 0.5, 4.0])], ids=["by range", "by sensitivity"])
def test_a_channel_that_was_silent_at_calibration_is_rounded_as_finely_as_the_others(
    bits: int, sensitivity: NDArray[np.float64] | None
) -> None:
    """Zeros alone are whole numbers, but say nothing of those that are to come."""
    planes = SIGNED.copy()
    planes[:, 1] = 0
    quantiser = by_range(planes, bits) if sensitivity is None else by_sensitivity(planes, bits, sensitivity)
    error = np.abs(quantiser.values(quantiser.symbols(SIGNED)) - SIGNED)
    assert error[:, 1].max() <= 0.501 * quantiser.step[1]
    assert quantiser.step[1] <= 2 * max(quantiser.step[[0, 2, 3]])
    alone = by_range(np.zeros_like(planes), bits)
    assert (alone.values(alone.symbols(np.full_like(planes[0], 3.0))) == 3).all()


@pytest.mark.parametrize("bits", [16, 8, 4, 1])
@pytest.mark.parametrize("of", [slice(1, 2), slice(None)])
@pytest.mark.parametrize("sensitivity", [None, np.ones(3)])
def test_what_is_next_to_nothing_has_steps_too(
    of: slice, bits: int, sensitivity: NDArray[np.float64] | None, random: np.random.Generator
) -> None:
    """A 255th of what a softmax leaves of a class may be no float32 any more."""
    planes = random.standard_normal((2, 3, 4, 4)).astype(np.float32)
    planes[:, of] = np.abs(planes[:, of] * 1e-43)
    crossed: list[Values] = [{"t": each[None]} for each in planes]
    rounding = fit_rounding(crossed, ["t"], bits, None if sensitivity is None else {"t": sensitivity})
    plan = TensorPlan(rounding.quantisers["t"], fit_coders(rounding, crossed)["t"])
    ((read,),) = read_plan(pack_plan([[plan]]), [bits], [(3, 4, 4)])
    payload, _ = read.encode(planes[0])
    made = read.values(read.decode(payload, (3, 4, 4)), (3, 4, 4), "float32")
    assert np.abs(made[of] - planes[0, of]).max() < 1e-37


def test_what_a_fixed_number_of_bits_has_of_a_symbol_is_clipped_to_the_range() -> None:
    quantiser = by_range(SIGNED, 8)
    unsigned = quantiser.unsigned(quantiser.symbols(5 * SIGNED))
    assert int(unsigned.max()) <= 255
    inside = quantiser.symbols(SIGNED)
    assert np.array_equal(quantiser.unsigned(inside).astype(int), inside - quantiser.least[:, None, None])


def test_few_bits_clip_what_is_rare(random: np.random.Generator) -> None:
    planes = random.standard_normal((4, 1, 40, 40)).astype(np.float32)
    planes[0, 0, 0, 0] = 60
    quantiser = by_range(planes, 3)
    assert (quantiser.most + quantiser.shift)[0] * quantiser.step[0] < 40


def test_not_a_number_is_zero_and_infinity_the_end_of_the_range() -> None:
    quantiser = by_range(SIGNED, 4)
    odd = SIGNED[0].copy()
    odd[0, 0, :3] = (np.nan, np.inf, -np.inf)
    values = quantiser.values(quantiser.symbols(odd))[0, 0, :3]
    assert values[0] == 0
    assert values[1] > 0 > values[2]


def test_a_channel_that_matters_more_gets_finer_steps() -> None:
    quantiser = by_sensitivity(SIGNED, 4, np.array([8.0, 4.0, 2.0, 1.0]))
    assert quantiser.step / quantiser.step[0] == pytest.approx([1, 2, 4, 8])
    assert int((quantiser.most - quantiser.least).max()) == pytest.approx(15, abs=1)


def test_one_channel_of_extreme_sensitivity_leaves_the_others_their_steps() -> None:
    quantiser = by_sensitivity(SIGNED, 8, np.array([1e6, 1.0, 1.0, 1.0]))
    values = quantiser.most - quantiser.least
    assert values[0] == pytest.approx(255, abs=1)
    assert values[1:].min() >= 8


@pytest.mark.parametrize(
    ("shape", "plane"),
    [
        ((1, 8, 5, 4), (8, 5, 4)),
        ((2, 48, 484), (2, 48, 484)),
        ((1, 40), (40, 1, 1)),
        ((1, 1, 1, 7), (7, 1, 1)),
        ((), (1, 1, 1)),
        ((1, 1024), (1024, 1, 1)),
        ((1, 1280), (640, 1, 2)),
        ((1, 3000, 1, 1), (1000, 1, 3)),
    ],
)
def test_every_tensor_has_planes(shape: tuple[int, ...], plane: tuple[int, int, int]) -> None:
    assert plane_shape(shape) == plane


def test_a_tensor_beyond_the_coder_is_refused() -> None:
    for shape in ((1, 2000, 4, 4), (1, 8, 4, 4096), (1, 512, 512, 512), (1, 3001)):
        with pytest.raises(FieldInvalid, match="a tensor of shape"):
            plane_shape(shape)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 127, 128, 200, 255, 1023, 65535]), st.booleans())
def test_what_is_coded_comes_back(seed: int, most: int, signed: bool) -> None:  # noqa: FBT001
    random = np.random.default_rng(seed)
    magnitudes = np.minimum(random.geometric(random.uniform(0.01, 0.9), (3, 2, 5, 6)) - 1, most).astype(np.int32)
    magnitudes.reshape(-1)[random.integers(0, magnitudes.size)] = most
    planes = magnitudes * (random.choice([-1, 1], magnitudes.shape) if signed else 1).__mul__(1)
    planes = planes.astype(np.int32)
    coder = fit_coder(list(planes[:2]), most)
    for plane in planes:
        assert np.array_equal(coder.decode(coder.encode(plane), (2, 5, 6)), plane)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 127, 128, 255, 1023]), st.sampled_from([0, 1, 9, 400]))
def test_what_is_beyond_calibration_comes_back_too(seed: int, usual: int, rare: int) -> None:
    """And what is not takes as many bytes as without escapes, but for the length before it."""
    random = np.random.default_rng(seed)
    planes = random.integers(-usual, usual + 1, (3, 2, 9, 25)).astype(np.int32)
    coder, closed = fit_coder(list(planes[:2]), 65535, usual), fit_coder(list(planes[:2]), usual)
    assert coder.low_bits == closed.low_bits
    within = np.clip(planes[2], -usual + 1, usual - 1)
    assert len(coder.encode(within)) <= len(closed.encode(within)) + (0 if coder.low_bits else 4)
    loud = planes[2].copy()
    places = random.integers(0, loud.size, rare)
    loud.reshape(-1)[places] = random.integers(usual + 1, 65536, rare) * random.choice([-1, 1], rare)
    assert np.array_equal(coder.decode(coder.encode(loud), (2, 9, 25)), loud)


def test_an_escape_s_bytes_are_these() -> None:
    """Golden: behind the low bits of the others the magnitudes of what escapes, 16 bits each, in order."""
    plane = np.array([[[0, 300, -5], [0, -700, 508]]], np.int32)
    coder = fit_coder([np.clip(plane, -300, 300)] * 4, 65535, 300)
    payload = coder.encode(plane)
    assert coder.low_bits == 2
    # of 508 the coarse symbol is 127 too, so its magnitude follows
    tail = 0b1100_0000_0010_1011_1100_0000_0001_1111_1100 << 4
    assert payload[-5:] == tail.to_bytes(5, "big")
    assert np.array_equal(coder.decode(payload, (1, 2, 3)), plane)


def test_a_magnitude_beyond_what_the_plan_has_is_refused() -> None:
    plane = np.array([[[0, 300, -5], [0, -700, 508]]], np.int32)
    wide = fit_coder([np.clip(plane, -300, 300)] * 4, 65535, 300)
    narrow = TensorCoder(wide.tables, wide.low_bits, 600)
    with pytest.raises(PayloadUndecodable, match="magnitude 700"):
        narrow.decode(wide.encode(plane), (1, 2, 3))
    payload = wide.encode(plane)
    for wrong in (payload[:-1], payload + b"\0", payload[:-4]):
        with pytest.raises(PayloadUndecodable):
            wide.decode(wrong, (1, 2, 3))


def test_a_map_of_one_channel_is_one_plane_to_a_new_plan_and_as_it_was_to_one_of_before() -> None:
    assert fitting_shape((1, 1, 20, 30)) == (1, 20, 30)
    assert fitting_shape((1, 1, 1, 30)) == (30, 1, 1)
    assert fitting_shape((1, 4, 20, 30)) == (4, 20, 30)
    assert fitting_shape((1, 20, 30)) == plane_shape((20, 30)) == (20, 1, 30), "rows of a sequence"
    assert plane_shape((1, 20, 30), 1) == (1, 20, 30)
    assert plane_shape((1, 20, 30), 20) == (20, 1, 30)
    maps = [{"x": np.random.default_rng(n).normal(0, 1, (1, 1, 12, 9)).astype(np.float32)} for n in range(4)]
    sensitivity = measure_sensitivity(dict, maps[:1], ["x"], ["x"])
    assert sensitivity["x"].shape == (1,)
    for steps in (None, sensitivity):
        rounding = fit_rounding(maps, ["x"], 8, steps)
        assert rounding.quantisers["x"].step.shape == (1,)
        assert np.abs(rounding.rounded(maps[0])["x"] - maps[0]["x"]).max() < 0.02
    plan = TensorPlan(rounding.quantisers["x"], fit_coders(rounding, maps)["x"])
    ((again,),) = read_plan(pack_plan([[plan]]), [8], [(1, 12, 9)])
    payload, _ = again.encode(maps[0]["x"])
    assert np.array_equal(
        again.values(again.decode(payload, (1, 12, 9)), (1, 1, 12, 9), "float32"), rounding.rounded(maps[0])["x"]
    )
    loud = 5 * maps[0]["x"]
    assert again.encode(loud) == plan.encode(loud), "a plan that was read clips no more than one that was fitted"
    by_rows = by_range(np.stack([each["x"].reshape(12, 1, 9) for each in maps]), 8)
    before = TensorPlan(
        by_rows, fit_tensor_coder([by_rows.symbols(each["x"].reshape(12, 1, 9)) for each in maps], by_rows)
    )
    ((again,),) = read_plan(pack_plan([[before]]), [8], [(1, 12, 9)])
    payload, _ = again.encode(maps[0]["x"])
    assert again.decode(payload, (1, 12, 9)).shape == (12, 1, 9)


def test_low_bits_follow_only_where_they_are_needed() -> None:
    assert [fit_coder([np.zeros((1, 2, 2), np.int32)], most).low_bits for most in (127, 128, 254, 255, 65535)] == [
        0, 1, 1, 2, 10,
    ]  # fmt: skip


def test_a_payload_s_bytes_are_these() -> None:
    """Golden: below the length and the coarse symbols the low bits of those that are not zero, in order."""
    plane = np.array([[[0, 300, -5], [0, 0, 1]]], np.int32)
    coder = fit_coder([plane] * 4, 300)
    payload = coder.encode(plane)
    assert coder.low_bits == 2
    assert payload[:4] == (len(payload) - 5).to_bytes(4, "little")
    assert payload[-1] == 0b11_00_00_00  # (300 − 1) & 3, (5 − 1) & 3, (1 − 1) & 3


def test_a_channel_that_was_silent_at_calibration_may_speak() -> None:
    plane = np.zeros((2, 4, 4), np.int32)
    plane[0, 1, 1] = 3
    coder = fit_coder([plane], 3)
    loud = plane.copy()
    loud[1, 2, 2] = -2
    assert np.array_equal(coder.decode(coder.encode(loud), (2, 4, 4)), loud)


def test_symbols_beyond_what_was_promised_are_refused() -> None:
    coder = fit_coder([np.ones((1, 2, 2), np.int32)], 3)
    with pytest.raises(FieldInvalid, match="magnitude 4"):
        coder.encode(np.full((1, 2, 2), -4, np.int32))
    for planes, most in (([], 3), ([np.ones((1, 2, 2), np.int32)], 65536)):
        with pytest.raises(FieldInvalid, match="65535 at most"):
            fit_coder(planes, most)


def test_a_broken_payload_is_refused_by_name(random: np.random.Generator) -> None:
    plane = random.integers(-900, 900, (2, 6, 6)).astype(np.int32)
    coder = fit_coder([plane], 900)
    whole = coder.encode(plane)
    for wrong in (b"", whole[:3], whole[:9], whole[:-1], whole + b"\0", b"\xff\xff\xff\xff" + whole[4:]):
        with pytest.raises(PayloadUndecodable):
            coder.decode(wrong, (2, 6, 6))


def test_sensitivity_finds_the_channels_that_the_result_hangs_on(random: np.random.Generator) -> None:
    crossed = [{"x": random.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(3)]
    found = measure_sensitivity(
        lambda v: {"y": v["x"] * np.array([5, 0, 1], np.float32)[:, None, None]}, crossed, ["x"], ["y"]
    )
    assert found["x"] == pytest.approx([5, 0, 1], rel=1e-3)


def test_a_picture_on_which_a_channel_rests_does_not_decide_its_sensitivity(random: np.random.Generator) -> None:
    """What moves there is far below the floats' rounding, of which a tail that adds large numbers makes a lot."""
    moving = [random.uniform(0, 6, (1, 2, 8, 8)).astype(np.float32) for _ in range(2)]
    resting = moving[0].copy()
    resting[0, 1] = 6 - random.uniform(0, 2e-6, (8, 8)).astype(np.float32)

    def tail(values: Values) -> Values:
        return {"y": np.float32(1e6) + values["x"]}

    found = measure_sensitivity(tail, [*({"x": each} for each in moving), {"x": resting}], ["x"], ["y"])
    assert found["x"] == pytest.approx([1, 1], rel=0.1)


def test_a_channel_is_never_disturbed_beyond_its_range(random: np.random.Generator) -> None:
    crossed = [{"x": np.minimum(random.uniform(-3, 9, (1, 2, 8, 8)), 6).astype(np.float32)} for _ in range(2)]
    seen: list[float] = []

    def tail(values: Values) -> Values:
        seen.extend((float(values["x"].min()), float(values["x"].max())))
        return {"y": values["x"]}

    measure_sensitivity(tail, crossed, ["x"], ["y"])
    least = min(float(each["x"].min()) for each in crossed)
    assert (min(seen), max(seen)) == (least, 6)


def test_a_design_gives_the_tail_what_crossed_in_its_own_shapes(tmp_path: Path, random: np.random.Generator) -> None:
    network = opened(RESIDUAL, tmp_path)
    cut = cut_at(network, ["b", "d"])
    halves = take_apart(network, cut)
    head, tail = Runner(halves.head), Runner(halves.tail)
    pictures = [random.random((1, 3, 8, 8)).astype(np.float32) for _ in range(8)]
    crossed = [{name: head({"picture": picture})[name] for name in cut.names} for picture in pictures]
    whole = Runner(network.model)
    exact = [whole({"picture": picture})["result"] for picture in pictures]
    lost = []
    for bits in (2, 4, 8, 16):
        rounding = fit_rounding(crossed, cut.names, bits, None)
        coders = fit_coders(rounding, crossed)
        symbols = rounding.symbols(crossed[0])
        received = {n: coders[n].decode(coders[n].encode(symbols[n]), symbols[n].shape) for n in cut.names}
        for name, tensor in rounding.values(received, crossed[0]).items():
            assert np.array_equal(tensor, rounding.rounded(crossed[0])[name])
        results = [tail(rounding.rounded(each))["result"] for each in crossed]
        lost.append(float(np.mean([np.abs(r - e).mean() for r, e in zip(results, exact, strict=True)])))
        assert ideal_bytes(rounding, crossed) <= 2 * 4 * 16 * bits / 8
    assert lost[0] > lost[1] > lost[2] > lost[3]
    assert lost[3] < 1e-3


def test_what_a_network_in_int8_passes_stays_int8(random: np.random.Generator) -> None:
    crossed = [{"x": random.integers(-128, 128, (1, 3, 8, 8)).astype(np.int8)} for _ in range(4)]
    rounding = fit_rounding(crossed, ["x"], 3, measure_sensitivity(dict, crossed[:1], ["x"], ["x"]))
    passed = rounding.rounded(crossed[0])["x"]
    assert passed.dtype == np.int8
    assert np.abs(passed.astype(int) - crossed[0]["x"]).max() <= 0.51 * rounding.quantisers["x"].step.max() + 0.5


@pytest.mark.parametrize("sensitivity", [None, np.array([1.0, 2.0])], ids=["by range", "by sensitivity"])
def test_whole_numbers_cross_as_they_are_where_the_bits_suffice(sensitivity: NDArray[np.float64] | None) -> None:
    planes = np.random.default_rng(4).integers(-7, 9, (3, 2, 6, 5)).astype(np.float32)
    for bits in (4, 8, 16):
        quantiser = by_range(planes, bits) if sensitivity is None else by_sensitivity(planes, bits, sensitivity)
        if bits > 4:
            assert (quantiser.step == 1).all()
            assert (quantiser.values(quantiser.symbols(planes)) == planes).all()
        assert (quantiser.step >= 1).all()
