"""The rate table's contenders learn from what they get in use, and are charged for all that travels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.rate import together, train, tuning
from benchmarks.rate.assemble import _over_seeds
from benchmarks.rate.codecs import Coded, PictureCodec, Setting
from benchmarks.rate.contenders import CONTENDERS, Contender
from benchmarks.rate.frames import _clip_bytes, through_packet, validation
from benchmarks.rate.heads import REBUILDING_PRICE, dequantised, head_task
from benchmarks.rate.plan import RunFolder
from benchmarks.rate.together import groups_of as together_groups
from benchmarks.rate.together import pair_of, together_task
from benchmarks.rate.tuning import CLIP_FRAMES, ending_in, groups_of, through, through_video, tuning_task
from benchmarks.rate.video import H264, KEY_EVERY
from benchmarks.rate.views import Parts, _views, split_train
from narrows.contract.codec import count_tables, encode_symbols, remember
from narrows.contract.codec.counting import Moments
from narrows.contract.errors import ConfigError, DatasetError
from narrows.contract.wire.feature import HEADER_BYTES
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.export.picture_graphs import MaskAtEdge
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.separate import SeparateDeepLabV3Plus
from narrows.models.training.augment import Augmentation, normalise
from tests.workshop.nn.rate_setup import LABELS, PLAN, setup
from tests.workshop.training.conftest import four_pictures


def test_a_head_sees_whole_symbols_scaled_back_by_their_levels_gain() -> None:
    latent = np.random.default_rng(1).normal(0, 40, (2, 3, 4, 5)).astype(np.float32)
    gain = torch.tensor([[1.0, 0.5, 8.0], [0.25, 2.0, 1.0]])
    seen = dequantised(latent, gain)
    symbols = seen * gain[:, :, None, None]
    assert torch.allclose(symbols, symbols.round(), atol=1e-4)
    assert float(symbols.abs().max()) == pytest.approx(127)
    within = (torch.from_numpy(latent) * gain[:, :, None, None]).abs() < 127
    error = (seen - torch.from_numpy(latent)).abs() * gain[:, :, None, None]
    assert float(error[within].max()) <= 0.5 + 1e-4


class Watched(nn.Module):
    """Answers nothing, and keeps what it was shown."""

    strides = (16,)

    def __init__(self, missed: float = 0.0) -> None:
        super().__init__()
        self.missed = missed
        self.shown: list[Tensor] = []

    def forward(self, given: Tensor | Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        self.shown.append(given if isinstance(given, Tensor) else given[0])
        return torch.zeros(len(self.shown[-1]), 2, *size)

    def rebuild(self, latent: Tensor) -> tuple[Tensor, ...]:
        return (torch.full((len(latent), 320, 2, 2), self.missed),)

    @property
    def head(self) -> nn.Module:
        return self


def test_every_level_is_learned() -> None:
    head = Watched()
    task = head_task(Contender("joint", "joint", lambda *_: head), setup(2), PLAN, seed=1)
    for step in range(10):
        task.loss(head, step)
    assert {round(float(value), 3) for shown in head.shown for value in shown.flatten()} == {1.0, 0.0}


def test_features_that_are_rebuilt_badly_cost_their_price() -> None:
    given, seed = setup(1), 3
    contender = Contender("separate", "separate", lambda *_: Watched(), rebuilds=True)
    near, far = (head_task(contender, given, PLAN, seed).loss(Watched(missed), 0) for missed in (0.0, 10.0))
    rows = np.sort(np.random.default_rng((seed, 0)).choice(8, PLAN.batch, replace=False))
    true = torch.from_numpy(given.train.at16[rows].astype(np.float32))
    apart = ((10.0 - true).square().mean() - true.square().mean()) / true.var()
    assert float(far - near) == pytest.approx(REBUILDING_PRICE * float(apart), rel=1e-3)


def test_a_mirrored_view_has_mirrored_labels() -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    sample = LabelledPicture("s", labels[..., None].repeat(3, axis=2), labels)
    plain, mirrored = _views([sample], Augmentation((4, 3), (1.0, 1.5)), 2)
    assert np.array_equal(plain[0], normalise(sample.picture))
    assert np.array_equal(mirrored[0], normalise(sample.picture)[:, :, ::-1])
    assert np.array_equal(mirrored[1], labels[:, ::-1])
    assert np.array_equal(plain[1], labels)


def test_the_block_that_checkpoints_are_chosen_on_is_not_trained_on(tmp_path: Path) -> None:
    root = four_pictures(tmp_path / "data")
    for kind, suffix in (("images", "png"), ("labels", "png")):
        for number, name in enumerate(("a1", "b1", "b2", "b3")):
            (root / kind / "train" / f"s{number}.{suffix}").rename(root / kind / "train" / f"{name}.{suffix}")
    (root / "train.txt").write_text("a1\nb1\nb2\nb3\n")
    parts = split_train(FolderDataset.open(root, "train"), PLAN)
    assert [sample.name for sample in parts.train] == ["a1", "b1"]
    assert [sample.name for sample in parts.held] == ["b2", "b3"]


class Says(nn.Module):
    """Sees one class everywhere."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label

    def forward(self, given: Tensor, size: tuple[int, int] = (32, 32)) -> Tensor:
        logits = torch.zeros(len(given), 2, *size)
        logits[:, self.label] = 1
        return logits


def test_a_head_is_chosen_by_the_held_out_block() -> None:
    given = setup(2)
    held = replace(given.held, labels=given.held.labels + 1)
    task = head_task(CONTENDERS[0], replace(given, held=held), PLAN, seed=1)
    assert (task.score(Says(0)), task.score(Says(1))) == (0, 1)


def test_a_tuning_is_held_to_what_overlaps_as_its_network_was() -> None:
    samples = tuple(LabelledPicture(f"b{n}", np.zeros((32, 32, 3), np.uint8), LABELS + n) for n in range(2))
    task = tuning_task(Parts(samples, ()), setup(2), 2, lambda sample, _chance: sample)

    class Unsure(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            return torch.zeros(len(pictures), 2, *pictures.shape[-2:])

    assert float(task.loss(Unsure(), 0)) == pytest.approx(np.log(2) + 1 - 1 / 3, rel=1e-4)


def test_a_picture_of_another_size_than_the_networks_are_made_for_is_named(tmp_path: Path) -> None:
    data = FolderDataset.open(four_pictures(tmp_path / "data"), "train")
    plan = replace(PLAN, held_out_drive="s")
    assert [sample.name for sample in validation(data, 3)] == ["s0", "s1", "s2"]
    assert len(validation(data, 0)) == 4
    other = replace(data, classes=replace(data.classes, size=(32, 24)))
    for read in (lambda: validation(other, 0), lambda: split_train(other, plan)):
        with pytest.raises(DatasetError, match=r"s0 is 64x48, .* says 32x24"):
            read()


def test_a_codecs_network_is_tuned_on_what_comes_out_of_it() -> None:
    picture, labels = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.uint8)

    class Codec(PictureCodec):
        def code(self, picture: NDArray[np.uint8], setting: Setting) -> Coded:
            return Coded(1, np.full_like(picture, setting.quality))

    codec = Codec("c", "c", (5, 20), lambda *_: (b"", 0))
    for quality in codec.qualities:
        seen = through(codec, quality)(LabelledPicture("s", picture, labels), Random(1))
        assert (seen.picture == quality).all(), "a band is one quality"
        assert np.array_equal(seen.labels, labels)


def test_a_clip_moves_and_ends_in_the_frame_that_the_labels_are_of() -> None:
    labels = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((32, 32), np.uint8))
    sample = LabelledPicture("s", (20 * labels)[..., None].repeat(3, axis=2), labels)
    clip = ending_in(sample.picture, np.random.default_rng(1))
    assert len(clip) == CLIP_FRAMES
    assert np.array_equal(clip[-1], sample.picture)
    apart = [float(np.abs(frame.astype(int) - sample.picture).mean()) for frame in clip]
    assert apart == sorted(apart, reverse=True)
    assert apart[0] > 1
    seen = through_video(H264, 26)(sample, Random(3))
    assert 0 < np.abs(seen.picture.astype(int) - sample.picture).mean() < 10
    assert np.array_equal(seen.labels, labels)


def test_what_a_clip_drives_towards_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns = np.mgrid[0:64, 0:96].astype(np.float32)
    ahead = 0.04 * np.stack([rows - 32, columns - 48])
    monkeypatch.setattr(tuning, "displacement", lambda *_, **__: ahead)
    car = np.zeros((64, 96, 3), np.uint8)
    car[22:42, 33:63] = 255
    areas = [int((frame > 127).sum()) for frame in ending_in(car, np.random.default_rng(1))]
    assert areas == sorted(areas)
    assert areas[0] < 0.8 * areas[-1]


def test_the_whole_network_is_tuned_with_the_loss_of_its_training() -> None:
    labels = np.zeros((32, 32), np.uint8)
    sample = LabelledPicture("s", np.zeros((32, 32, 3), np.uint8), labels)
    sky = LabelledPicture("t", np.full((32, 32, 3), 255, np.uint8), labels + 1)
    shown: list[str] = []

    def degrade(given: LabelledPicture, _chance: Random) -> LabelledPicture:
        shown.append(given.name)
        return given

    torch.manual_seed(1)
    network = MaskAtEdge(JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=2)))
    task = tuning_task(Parts((sample, sky), (sample,)), setup(2), 2, degrade)
    assert shown == ["s"], "what is scored on goes through the codec, too"
    loss = task.loss(network.train(), 0)
    assert sorted(shown[1:]) == ["s", "t"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert 0 <= task.score(network.eval()) <= 1
    head, trunk = groups_of(network)
    counted = [parameter for group in (head, trunk) for parameter in cast("list[nn.Parameter]", group["params"])]
    assert len({id(parameter) for parameter in counted}) == len(list(network.parameters()))


@pytest.mark.parametrize("separate", [False, True])
def test_encoder_and_decoder_learn_together_and_what_is_rebuilt_is_held_to_the_features(*, separate: bool) -> None:
    torch.manual_seed(1)
    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=5))
    pair = pair_of(network.requires_grad_(requires_grad=False), SeparateDeepLabV3Plus(4, 2) if separate else None)
    chance = np.random.default_rng(1)
    samples = tuple(
        LabelledPicture(f"b{n}", chance.integers(0, 256, (32, 32, 3), np.uint8), np.full((32, 32), n % 2, np.uint8))
        for n in range(4)
    )
    task = together_task(Parts(samples, samples[:1]), setup(5), 4)
    task.loss(pair.train(), 0).backward()  # type: ignore[no-untyped-call]
    unmoved = [name for name, parameter in pair.named_parameters() if parameter.grad is None]
    assert not unmoved
    assert all(parameter.grad is None for parameter in network.parameters()), "the frozen one is another"
    assert 0 <= task.score(pair.eval()) <= 1
    counted = [each for group in together_groups(pair) for each in cast("list[nn.Parameter]", group["params"])]
    assert len({id(each) for each in counted}) == len(counted) == len(list(pair.parameters()))


def test_separate_decoding_is_held_to_the_features_with_its_encoder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = tuple(LabelledPicture(f"b{n}", np.zeros((32, 32, 3), np.uint8), LABELS + n % 2) for n in range(4))
    task = together_task(Parts(samples, ()), setup(5), 4)
    torch.manual_seed(1)
    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=5))
    for head, price in ((SeparateDeepLabV3Plus(4, 2), REBUILDING_PRICE), (None, 0.0)):
        pair = pair_of(network, head).train()
        losses = []
        for missed in (0.0, 10.0):
            monkeypatch.setattr(together, "rebuilding_loss", lambda *_, missed=missed: torch.tensor(missed))
            losses.append(float(task.loss(pair, 0).detach()))
        assert losses[1] - losses[0] == pytest.approx(10 * price, rel=1e-3)


def test_a_pairs_tables_are_counted_on_what_its_own_encoder_and_gains_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    folder.make()
    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=5))
    gains = np.full((5, 4), 7, np.float32)
    counted: list[tuple[Path, int]] = []

    def fit(started: JointNetwork, *_: object) -> JointNetwork:
        started.gains.log_gain.data.fill_(float(np.log(7)))
        return started

    def count(graph: Path, _pictures: object, latents: int, given: NDArray[np.float32], _say: object) -> object:
        assert np.allclose(given, gains)
        counted.append((graph, latents))
        return SimpleNamespace(to_bytes=lambda: b"tables")

    monkeypatch.setattr(train, "fit", fit)
    for name in ("write_encoder", "write_head"):
        monkeypatch.setattr(train, name, lambda *_: None)
    monkeypatch.setattr(train, "latents_of", lambda graph, _pictures: len(graph.stem))
    monkeypatch.setattr(train, "count_both", count)
    training = train.ComparisonTraining(network, Parts((), ()), setup(5), PLAN, folder)
    training.train_pair(together.JOINT)
    assert counted == [(folder.graph("joint_together_encoder"), len("joint_together_encoder"))]
    assert folder.tables("joint_together_encoder").read_bytes() == b"tables"


def test_a_checkpoint_of_other_rate_levels_has_no_prices() -> None:
    with pytest.raises(ConfigError, match="has 2 rate levels; the recipe has prices for 5"):
        together_task(Parts((), ()), setup(2), 4)


def test_a_packets_header_is_paid_for() -> None:
    symbols = np.random.default_rng(4).integers(-3, 4, (4, 6, 8)).astype(np.int8)
    tables = count_tables([symbols[None]])
    assert through_packet(symbols, tables, 0) == HEADER_BYTES + len(encode_symbols(symbols, tables, 0))


def test_frames_that_repeat_are_nearly_free_as_a_clip_but_for_its_keys() -> None:
    symbols = np.random.default_rng(4).integers(-3, 4, (4, 6, 8)).astype(np.int8)
    planes = np.stack([symbols, symbols])
    memories = np.stack([remember(symbols), remember(symbols, remember(symbols))])
    tables = count_tables([planes], [Moments(planes, memories)])
    key = through_packet(symbols, tables, 0)
    sizes = _clip_bytes([symbols] * (KEY_EVERY + 2), tables, 0)
    assert [place for place, size in enumerate(sizes) if size == key] == [0, KEY_EVERY]
    assert max(sizes[1:KEY_EVERY]) < HEADER_BYTES + (key - HEADER_BYTES) / 2


def test_a_p_packet_is_predicted_from_all_frames_since_the_key() -> None:
    planes = np.random.default_rng(5).integers(-3, 4, (5, 4, 6, 8)).astype(np.int8)
    memories = [remember(planes[0])]
    for plane in planes[1:]:
        memories.append(remember(plane, memories[-1]))
    tables = count_tables([planes], [Moments(planes[1:], np.stack(memories[:-1]))])
    wanted = [through_packet(plane, tables, 0, memory) for plane, memory in zip(planes[1:], memories, strict=False)]
    assert _clip_bytes(list(planes), tables, 0)[1:] == wanted


def test_seeds_are_averaged_and_each_is_kept() -> None:
    runs = [[{"level": 0, "bits_per_pixel": 0.1, "miou": miou}] for miou in (0.6, 0.5, 0.4)]
    (point,) = _over_seeds(runs)
    assert point == {"level": 0, "bits_per_pixel": 0.1, "miou": pytest.approx(0.5), "miou_by_seed": [0.6, 0.5, 0.4]}
