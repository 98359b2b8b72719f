"""A pair of the SAM family, on small graphs that have the same inputs and outputs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from narrows.contract.errors import PromptInvalid, WeightsMismatch
from narrows.models.promptable.sam import SamFrame, SamPair, encode_prompt, prepare_picture
from narrows.runtime.prompting import Box, Point, Prompt
from tests.unit.promptable.things import disc

SIDE = 64
FLOAT = TensorProto.FLOAT


def _graph(nodes: list, inputs: dict, outputs: dict, constants: dict, path: Path) -> Path:  # type: ignore[type-arg]
    ends = [[helper.make_tensor_value_info(n, FLOAT, s) for n, s in each.items()] for each in (inputs, outputs)]
    stored = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[0], ends[1], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def encoder(path: Path, output: str = "image_embeddings", *more: str) -> Path:
    """Brightness, as the embedding."""
    nodes = [helper.make_node("ReduceMean", ["image"], [name], axes=[1]) for name in (output, *more)]
    return _graph(nodes, {"image": [1, 3, SIDE, SIDE]}, {n: [1, 1, SIDE, SIDE] for n in (output, *more)}, {}, path)


def decoder(path: Path, embedding: str = "image_embeddings", *more: str) -> Path:
    """Two masks, brightness and its negative; the first scores x / 64 of the first point, the second the rest."""
    inputs: dict[str, list[int | str]] = {name: [1, 1, SIDE, SIDE] for name in (embedding, *more)}
    inputs |= {"point_coords": [1, "n", 2], "point_labels": [1, "n"], "mask_input": [1, 1, 256, 256]}
    nodes = [
        helper.make_node("Neg", [embedding], ["negative"]),
        helper.make_node("Concat", [embedding, "negative"], ["masks"], axis=1),
        helper.make_node("Slice", ["point_coords", "start", "end", "axes"], ["x"]),
        helper.make_node("Div", ["x", "side"], ["share"]),
        helper.make_node("Reshape", ["share", "flat"], ["first"]),
        helper.make_node("Sub", ["one", "first"], ["second"]),
        helper.make_node("Concat", ["first", "second"], ["iou_predictions"], axis=1),
    ]
    constants = {
        "start": np.array([0, 0]), "end": np.array([1, 1]), "axes": np.array([1, 2]), "flat": np.array([1, 1]),
        "side": np.array(SIDE, np.float32), "one": np.ones((1, 1), np.float32),
    }  # fmt: skip
    return _graph(nodes, inputs, {"masks": [1, 2, SIDE, SIDE], "iou_predictions": [1, 2]}, constants, path)


def _white_disc(width: int, height: int, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    mask = disc(x, y, 12, width, height)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[mask] = 255
    return picture, mask


@pytest.mark.parametrize("size", [(128, 80), (80, 128), (100, 100)])
def test_a_pair_answers_in_source_pixels_with_the_best_mask(size: tuple[int, int], tmp_path: Path) -> None:
    pair = SamPair.open(encoder(tmp_path / "e.onnx"), decoder(tmp_path / "d.onnx"))
    picture, mask = _white_disc(*size, size[0] - 20, size[1] - 20)
    on = Point(max(size) * 0.6, size[1] / 2) if size[0] == max(size) else Point(size[0] - 1, 5)
    found = pair.segment(picture, Prompt(points=(on,)))
    if on.x * SIDE / max(size) > SIDE / 2:
        assert (found.mask & mask).sum() / (found.mask | mask).sum() > 0.85
    other = pair.segment(picture, Prompt(points=(Point(2, 2),)))
    assert (other.mask & mask).sum() < 0.2 * mask.sum()


def test_sam_2_stretches_and_hands_its_fine_features_over(tmp_path: Path) -> None:
    fine = ("high_res_feats_0", "high_res_feats_1")
    pair = SamPair.open(
        encoder(tmp_path / "e.onnx", "image_embed", *fine), decoder(tmp_path / "d.onnx", "image_embed", *fine)
    )
    picture, mask = _white_disc(128, 64, 90, 40)
    found = pair.segment(picture, Prompt(points=(Point(120, 10),)))
    assert pair.stretches
    assert (found.mask & mask).sum() / (found.mask | mask).sum() > 0.85


def test_the_crop_of_a_pairs_answer_is_that_of_its_mask(tmp_path: Path) -> None:
    pair = SamPair.open(encoder(tmp_path / "e.onnx"), decoder(tmp_path / "d.onnx"))
    picture, mask = _white_disc(100, 100, 75, 60)
    found = pair.segment(picture, Prompt(Box(63, 48, 24, 24)))
    assert found.window.side == pytest.approx(24 * 1.3)
    assert (found.logits > 0).mean() == pytest.approx(mask.sum() / found.window.side**2, abs=0.06)


def test_a_picture_is_encoded_once_for_all_its_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = SamPair.open(encoder(tmp_path / "e.onnx"), decoder(tmp_path / "d.onnx"))
    prepared = []

    def counting(picture: np.ndarray, frame: SamFrame) -> np.ndarray:
        prepared.append(frame)
        return prepare_picture(picture, frame)

    monkeypatch.setattr("narrows.models.promptable.sam.prepare_picture", counting)
    picture, _ = _white_disc(100, 100, 50, 50)
    for x in (10.0, 60.0, 90.0):
        pair.segment(picture, Prompt(points=(Point(x, 50),)))
    pair.segment(picture.copy(), Prompt(points=(Point(5, 5),)))
    assert len(prepared) == 2


def test_prompts_have_sams_labels_in_the_encoders_pixels() -> None:
    frame = SamFrame(200, 100, 1024, stretched=False)
    prompt = Prompt(Box(10, 20, 30, 40), (Point(100, 50), Point(150, 25, positive=False)))
    coordinates, labels = encode_prompt(prompt, frame)
    assert labels.tolist() == [[1, 0, 2, 3]]
    assert np.allclose(coordinates[0], np.array([[100, 50], [150, 25], [10, 20], [40, 60]]) * 5.12)


def test_points_without_a_box_have_a_padding_point() -> None:
    coordinates, labels = encode_prompt(Prompt(points=(Point(100, 50),)), SamFrame(200, 100, 1024, stretched=True))
    assert labels.tolist() == [[1, -1]]
    assert np.allclose(coordinates[0], [[512, 512], [0, 0]])


def test_a_picture_is_padded_below_with_zeros_after_normalising() -> None:
    prepared = prepare_picture(np.full((50, 100, 3), 255, np.uint8), SamFrame(100, 50, 64, stretched=False))
    assert prepared[0, 0, 10, 10] == pytest.approx((255 - 123.675) / 58.395)
    assert not prepared[..., 32:, :].any()


def test_files_that_are_no_pair_are_refused_by_name(tmp_path: Path) -> None:
    one, other = encoder(tmp_path / "e.onnx"), decoder(tmp_path / "d.onnx")
    with pytest.raises(WeightsMismatch, match=r"e.onnx takes image: SAM's takes point_coords"):
        SamPair.open(one, one)
    with pytest.raises(WeightsMismatch, match=r"an encoder of SAM takes \(1, 3, side, side\)"):
        SamPair.open(other, other)
    two = encoder(tmp_path / "two.onnx", "features", "others")
    picture, _ = _white_disc(100, 100, 50, 50)
    with pytest.raises(WeightsMismatch, match="the decoder wants 'image_embeddings'; the encoder answers with"):
        SamPair.open(two, other).segment(picture, Prompt(Box(1, 1, 20, 20)))


def test_a_prompt_that_points_at_nothing_is_refused_before_the_encoder_runs(tmp_path: Path) -> None:
    pair = SamPair.open(encoder(tmp_path / "e.onnx"), decoder(tmp_path / "d.onnx"))
    with pytest.raises(PromptInvalid, match="negative points only"):
        pair.segment(np.zeros((10, 10, 3), np.uint8), Prompt(points=(Point(1, 1, positive=False),)))


def test_a_box_that_reaches_beyond_the_picture_ends_at_its_edges(tmp_path: Path) -> None:
    pair = SamPair.open(encoder(tmp_path / "e.onnx"), decoder(tmp_path / "d.onnx"))
    picture, _ = _white_disc(100, 100, 50, 50)
    beyond, within = (pair.segment(picture, Prompt(box)) for box in (Box(-1000, 0, 1040, 900), Box(0, 0, 40, 100)))
    assert beyond.window == within.window


def test_a_graph_without_inputs_is_no_encoder(tmp_path: Path) -> None:
    nodes, constants = [helper.make_node("Identity", ["x"], ["image_embeddings"])], {"x": np.zeros(3, np.float32)}
    empty = _graph(nodes, {}, {"image_embeddings": [3]}, constants, tmp_path / "empty.onnx")
    with pytest.raises(WeightsMismatch, match=r"an encoder of SAM takes \(1, 3, side, side\)"):
        SamPair.open(empty, decoder(tmp_path / "d.onnx"))
