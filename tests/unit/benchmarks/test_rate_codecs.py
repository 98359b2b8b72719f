import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.rate.codecs import AVIF, STILLS, PictureCodec, Setting, bits_of, media_bytes
from benchmarks.rate.labelmaps import CODERS, edge_coders, larger
from benchmarks.rate.video import KEY_EVERY, VIDEOS, VideoCodec, _packets, needed_bytes
from narrows.contract.outputs.labels.scaling import DIVISORS, divide_labels

CHANCE = np.random.default_rng(0)
PICTURE = np.kron(CHANCE.integers(0, 255, (9, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
LABELS = np.kron(CHANCE.integers(0, 5, (9, 12)), np.ones((8, 8))).astype(np.uint8)


@pytest.mark.parametrize("codec", STILLS, ids=lambda codec: codec.name)
def test_a_picture_comes_back_in_its_size_for_fewer_bytes_than_its_file(codec: PictureCodec) -> None:
    for setting in (codec.settings[0], codec.settings[-1]):
        coded = codec.code(PICTURE, setting)
        file, size_bytes = codec.payload(Image.fromarray(PICTURE), setting.quality)
        assert coded.picture.shape == PICTURE.shape
        assert 0 < size_bytes < len(file)


@pytest.mark.parametrize("codec", STILLS, ids=lambda codec: codec.name)
def test_better_quality_is_closer_and_larger(codec: PictureCodec) -> None:
    low, high = (codec.code(PICTURE, Setting(1.0, quality)) for quality in (codec.qualities[0], codec.qualities[-1]))
    errors = [np.abs(each.picture.astype(int) - PICTURE).mean() for each in (low, high)]
    assert low.size_bytes < high.size_bytes
    assert errors[1] < errors[0]


def test_only_the_coded_picture_of_an_avif_counts() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "AVIF", quality=AVIF.qualities[0])
    assert 200 < len(buffer.getvalue()) - media_bytes(buffer.getvalue()) < 400
    with pytest.raises(ValueError, match="mdat"):
        media_bytes(b"\x00\x00\x00\x08free")


def test_our_header_is_counted_for_every_frame() -> None:
    assert bits_of(100) == 8 * 148


@pytest.mark.parametrize("codec", VIDEOS, ids=lambda codec: codec.name)
def test_every_frame_of_a_clip_comes_back_in_order(codec: VideoCodec) -> None:
    clip = [np.roll(PICTURE, 8 * shift, axis=1) for shift in range(5)]
    coded = list(codec.code(clip, Setting(1.0, 20)))
    assert len(coded) == 5
    for original, each in zip(clip, coded, strict=True):
        assert np.abs(each.picture.astype(int) - original).mean() < 20


@pytest.mark.parametrize("codec", VIDEOS, ids=lambda codec: codec.name)
def test_a_frame_that_is_like_the_one_before_costs_a_video_next_to_nothing(codec: VideoCodec) -> None:
    busy = np.random.default_rng(1).integers(0, 255, PICTURE.shape).astype(np.uint8)
    key, *others = codec.code([busy] * 5, Setting(1.0, codec.qualities[1]))
    assert max(each.size_bytes for each in others) < key.size_bytes / 5


@pytest.mark.parametrize("codec", VIDEOS, ids=lambda codec: codec.name)
def test_a_video_has_key_frames_as_often_as_features_have(codec: VideoCodec) -> None:
    encoder = codec._encoder(PICTURE.shape[1::-1], codec.qualities[-1], "slow")
    packets = [each for each in _packets(encoder, [PICTURE] * (2 * KEY_EVERY + 1), 1.0) if each is not None]
    assert [place for place, each in enumerate(packets) if each.is_keyframe] == [0, KEY_EVERY, 2 * KEY_EVERY]


@pytest.mark.parametrize("codec", VIDEOS, ids=lambda codec: codec.name)
def test_a_video_is_not_charged_for_the_name_and_options_of_its_encoder(codec: VideoCodec) -> None:
    encoder = codec._encoder(PICTURE.shape[1::-1], codec.qualities[-1], "slow")
    (packet,) = (bytes(each) for each in _packets(encoder, [PICTURE], 1.0) if each is not None)
    (coded,) = codec.code([PICTURE], Setting(1.0, codec.qualities[-1]))
    named = next(unit for unit in packet.split(b"\x00\x00\x01") if b"x26" in unit)
    assert coded.size_bytes == len(packet) - len(named) - 3


def test_what_a_decoder_needs_of_a_packet_is_counted() -> None:
    units = [b"\x00\x00\x00\x01\x67abc", b"\x00\x00\x01\x06remark", b"\x00\x00\x01\x65\x06picture"]
    assert needed_bytes(b"".join(units), 0x06) == len(units[0]) + len(units[2])


@pytest.mark.parametrize("factor", DIVISORS)
def test_blocks_of_one_class_survive_being_made_smaller(factor: int) -> None:
    small = divide_labels(LABELS, factor, 5)
    assert small.shape == (72 // factor, 96 // factor)
    assert (larger(small, factor, LABELS.shape) == LABELS).all()


def test_odd_sizes_round_up_and_come_back() -> None:
    odd = LABELS[:71, :93]
    assert larger(divide_labels(odd, 4, 5), 4, odd.shape).shape == odd.shape


@pytest.mark.parametrize("name", CODERS)
def test_a_label_map_packs_smaller_than_itself(name: str) -> None:
    assert 0 < CODERS[name](LABELS) < LABELS.size // 4


def test_masks_at_the_edge_may_use_the_label_map_coder_which_is_the_smallest_for_plain_shapes() -> None:
    labels = np.zeros((72, 96), np.uint8)
    labels[30:] = 1
    labels[20:50, 40:60] = 2
    sizes = {name: coder(labels) for name, coder in edge_coders(3).items()}
    assert set(sizes) == {*CODERS, "label-map coder"}
    assert min(sizes, key=sizes.__getitem__) == "label-map coder"
