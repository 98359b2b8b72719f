"""Which planes share a call of the kernel, and that each of a call gets its own answer."""

from __future__ import annotations

import numpy as np
import pytest

from narrows.contract.codec import CodedPlane, CodingTables, count_tables, encode_symbols, remember, symbol_digest
from narrows.contract.errors import PayloadUndecodable
from orchestrator.dispatch import symbol_decoding
from orchestrator.dispatch.symbol_decoding import TimedPlane, calls_of, decode_alone, decode_together
from tests.unit.codec.codec_samples import smooth_planes

SHAPE = (4, 9, 14)
PLANES = smooth_planes(8, SHAPE, 1.5, 3)
TABLES: CodingTables = count_tables([PLANES], None)
CODED = [CodedPlane(encode_symbols(TABLES.silence(each, 0), TABLES, 0), SHAPE, TABLES, 0) for each in PLANES]
BROKEN = CodedPlane(CODED[0].payload[:-3], SHAPE, TABLES, 0)


def test_each_of_a_call_has_its_own_symbols_and_digest_and_a_share_of_the_time() -> None:
    found = decode_together(CODED)
    for each, plane in zip(found, PLANES, strict=True):
        assert isinstance(each, TimedPlane)
        assert np.array_equal(each.symbols, TABLES.silence(plane, 0))
        assert each.digest == symbol_digest(each.symbols)
    assert len({each.took_s for each in found if isinstance(each, TimedPlane)}) == 1


def test_a_broken_one_fails_by_name_and_those_beside_it_do_not() -> None:
    found = decode_together([CODED[0], BROKEN, CODED[1]])
    assert [type(each) for each in found] == [TimedPlane, PayloadUndecodable, TimedPlane]


def test_one_alone_is_decoded_or_refused_by_name() -> None:
    assert np.array_equal(decode_alone(CODED[2]).symbols, TABLES.silence(PLANES[2], 0))
    with pytest.raises(PayloadUndecodable):
        decode_alone(BROKEN)


def test_every_plane_has_one_place_in_one_call_and_no_call_takes_more_than_is_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the event loop would stand still for as long as there are streams."""
    monkeypatch.setattr(symbol_decoding, "_MOST_SYMBOLS", 3 * PLANES[0].size)
    assert list(calls_of(CODED)) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert list(calls_of([])) == []


def test_a_plane_that_is_more_than_a_call_may_have_is_a_call_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_decoding, "_MOST_SYMBOLS", PLANES[0].size - 1)
    assert list(calls_of(CODED[:2])) == [[0], [1]]


def test_planes_that_the_kernel_decodes_two_at_a_time_stand_beside_one_another() -> None:
    memory = remember(TABLES.silence(PLANES[0], 0))
    key, predicted = CODED[0], CodedPlane(CODED[0].payload, SHAPE, TABLES, 0, memory)
    assert list(calls_of([key, predicted, key, predicted])) == [[0, 2, 1, 3]]
