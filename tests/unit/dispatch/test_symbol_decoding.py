"""What is asked for in one turn of the event loop is decoded in one call, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from narrows.contract.codec import (
    CodedPlane,
    CodingTables,
    DecodedPlane,
    count_tables,
    decode_planes,
    encode_symbols,
    symbol_digest,
)
from narrows.contract.errors import FrameRefused, PayloadUndecodable
from orchestrator.dispatch import symbol_decoding
from orchestrator.dispatch.symbol_decoding import SymbolDecoding, TimedPlane
from orchestrator.dispatch.workers import Workers
from tests.unit.codec.codec_samples import smooth_planes

SHAPE = (4, 9, 14)
PLANES = smooth_planes(8, SHAPE, 1.5, 3)
TABLES: CodingTables = count_tables([PLANES], None)
CODED = [CodedPlane(encode_symbols(TABLES.silence(each, 0), TABLES, 0), SHAPE, TABLES, 0) for each in PLANES]
BROKEN = CodedPlane(CODED[0].payload[:-3], SHAPE, TABLES, 0)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many planes each call of the kernel had."""
    sizes: list[int] = []

    def counted(planes: Sequence[CodedPlane]) -> list[DecodedPlane | FrameRefused]:
        sizes.append(len(planes))
        return decode_planes(planes)

    monkeypatch.setattr(symbol_decoding, "decode_planes", counted)
    return sizes


@pytest.fixture
def decoding() -> SymbolDecoding:
    return SymbolDecoding(Workers(ThreadPoolExecutor(1)))


async def both(decoding: SymbolDecoding, planes: Sequence[CodedPlane]) -> list[TimedPlane | BaseException]:
    return await asyncio.gather(*(decoding.decode(plane) for plane in planes), return_exceptions=True)


async def test_streams_that_ask_in_the_same_turn_share_a_call(decoding: SymbolDecoding, calls: list[int]) -> None:
    found = await both(decoding, CODED)
    assert calls == [len(CODED)]
    for each, plane in zip(found, PLANES, strict=True):
        assert isinstance(each, TimedPlane)
        assert np.array_equal(each.symbols, TABLES.silence(plane, 0))
        assert each.digest == symbol_digest(each.symbols)


async def test_a_broken_one_fails_alone_and_by_name(decoding: SymbolDecoding) -> None:
    found = await both(decoding, [CODED[0], BROKEN, CODED[1]])
    assert [type(each) for each in found] == [TimedPlane, PayloadUndecodable, TimedPlane]


async def test_what_may_end_the_process_is_decoded_with_no_other(decoding: SymbolDecoding, calls: list[int]) -> None:
    asked = [decoding.decode(CODED[0]), decoding.decode(CODED[1], alone=True), decoding.decode(CODED[2])]
    await asyncio.gather(*asked)
    assert sorted(calls) == [1, 2]
    with pytest.raises(PayloadUndecodable):
        await decoding.decode(BROKEN, alone=True)


async def test_no_call_takes_more_than_is_small(
    decoding: SymbolDecoding, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the event loop would stand still for as long as there are streams."""
    monkeypatch.setattr(symbol_decoding, "_MOST_SYMBOLS", 3 * PLANES[0].size)
    found = await both(decoding, CODED)
    assert calls == [3, 3, 2]
    assert all(isinstance(each, TimedPlane) for each in found)


async def test_a_stream_that_is_given_up_costs_its_neighbours_nothing(decoding: SymbolDecoding) -> None:
    given_up, other = (asyncio.create_task(decoding.decode(plane)) for plane in CODED[:2])
    await asyncio.sleep(0)
    given_up.cancel()
    done, _ = await asyncio.wait([other], timeout=20)
    assert done
    assert np.array_equal(other.result().symbols, TABLES.silence(PLANES[1], 0))
    assert given_up.cancelled()


async def test_an_error_that_nobody_foresaw_is_told_to_each_and_the_next_are_decoded(
    decoding: SymbolDecoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(symbol_decoding, "decode_planes", lambda _: 1 / 0)
        found = await both(decoding, CODED[:2])
    assert [type(each) for each in found] == [ZeroDivisionError] * 2
    assert isinstance((await both(decoding, CODED[:1]))[0], TimedPlane)
