"""``docs/wire-format.md`` and the code say the same: the vectors, the reasons and the keys are read from the page."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.settings import EdgeSettings
from narrows.client.registry.audit import AUDIT_ENTRIES
from narrows.contract import errors
from narrows.contract.codec import LabelTables
from narrows.contract.errors import FrameRefused
from narrows.contract.outputs.labels.small import pack_small
from narrows.contract.records.prompts import PromptAnswers, PromptList, PromptState, Unable
from narrows.contract.records.still import Still, StillAnswer, StillState
from narrows.contract.schedule import Explanation
from narrows.contract.wire import (
    Control,
    FeaturePacket,
    FrameIdentity,
    Install,
    LatentShape,
    MaskPacket,
    PacketKind,
    Policy,
    Refusal,
    ShardKeys,
    Skip,
    StreamKeys,
    StreamSettings,
    Timings,
    shard_of,
)
from narrows.contract.wire.keys import AUDIT_KEY, DISPATCHERS_KEY, INSTALL_KEY, LABEL_TABLES_KEY, UNREADY_KEY, ScaleKeys
from narrows.contract.wire.mask import SMALL, label_tables_of, seal_mask
from narrows.contract.wire.outcome import REFUSED, SKIPPED, outcome_from_json, outcome_to_json
from orchestrator.dispatch.settings import DispatchSettings
from tests.unit.codec import label_reference
from tests.unit.codec.test_labels_golden import TABLES as GOLDEN_TABLES

EDGE_MAXLEN = EdgeSettings("folder", "cam-1", "redis://h", Path(), Path()).maxlen
PAGE = (Path(__file__).parents[3] / "docs" / "wire-format.md").read_text()
BLOCKS = {
    (kind, name): text for kind, name, text in re.findall(r"```(\w+) vector=([\w-]+)\n(.*?)\n```", PAGE, re.DOTALL)
}


def hex_vector(name: str) -> bytes:
    return bytes.fromhex(BLOCKS["hex", name])


def json_vector(name: str) -> Any:
    return json.loads(BLOCKS["json", name])


def raw_vector(name: str) -> bytes:
    text: str = BLOCKS["json", name]
    return text.encode()


def described_packet(name: str) -> FeaturePacket:
    fields = json_vector(name)
    return FeaturePacket(
        **{
            **fields,
            "bundle_id": int(fields["bundle_id"], 16),
            "shape": LatentShape(*fields["shape"]),
            "kind": PacketKind[fields["kind"]],
            "reference_digest": int(fields["reference_digest"], 16),
            "own_digest": int(fields["own_digest"], 16),
            "payload": bytes.fromhex(fields["payload"]),
        }
    )


@pytest.mark.parametrize("name", ["key", "predicted", "sealed"])
def test_a_feature_vector_is_written_and_read_as_the_page_says(name: str) -> None:
    assert FeaturePacket.parse(hex_vector(name)) == described_packet(name)
    assert described_packet(name).to_bytes() == hex_vector(name)


def test_a_seal_authenticates_what_the_page_says() -> None:
    assert described_packet("sealed").associated_data() == hex_vector("sealed-associated-data")


def test_the_digest_is_the_crc_of_the_symbols_on_the_page() -> None:
    assert zlib.crc32(hex_vector("symbols")) == described_packet("key").own_digest
    assert f"`{zlib.crc32(hex_vector('symbols')):08x}`" in PAGE
    assert described_packet("predicted").reference_digest == described_packet("key").own_digest


@pytest.mark.parametrize("name", ["mask-raw", "mask-deflate", "mask-small"])
def test_a_mask_vector_is_read_as_the_page_says(name: str) -> None:
    fields, mask = json_vector("mask"), MaskPacket.parse(hex_vector(name), golden_tables)
    assert mask.labels.tolist() == fields["labels"]
    assert mask.areas.tolist() == fields["areas"]
    assert mask.timings == Timings(**fields["timings"])
    assert mask.identity == FrameIdentity(fields["epoch"], fields["sequence"])
    assert mask.bundle_id == int(fields["bundle_id"], 16)
    assert (mask.capture_ms, mask.level, mask.feature_bytes) == (
        fields["capture_ms"],
        fields["level"],
        fields["feature_bytes"],
    )


def golden_tables(table_id: int) -> LabelTables:
    """Those of the page on label coding."""
    tables = LabelTables.parse(GOLDEN_TABLES)
    assert tables.id == table_id
    return tables


def test_a_small_mask_is_written_as_on_the_page_and_read_by_the_decoder_in_plain_python() -> None:
    data, tables = hex_vector("mask-small"), LabelTables.parse(GOLDEN_TABLES)
    mask = MaskPacket.parse(data, golden_tables)
    packed = data[60 + 4 * data[2] : -4]
    assert seal_mask(mask, pack_small(mask.labels, 3, tables), SMALL) == data
    assert int.from_bytes(packed[:8], "little") == tables.id == label_tables_of(data)
    assert label_reference.decode(packed[8:], (2, 3), 3, tables).tolist() == json_vector("mask")["labels"]


def test_a_mask_is_written_with_the_header_on_the_page() -> None:
    mask = MaskPacket.parse(hex_vector("mask-deflate"))
    assert mask.to_bytes()[:72] == hex_vector("mask-deflate")[:72]
    assert np.array_equal(MaskPacket.parse(mask.to_bytes()).labels, mask.labels)


def test_the_records_on_the_page_are_what_the_code_writes() -> None:
    control = Control(level=1, frames_per_s=2.5, key_request=3)
    assert (Control.parse(raw_vector("control")), control.to_json()) == (control, raw_vector("control"))
    settings = StreamSettings(Policy.COMPLETE, 2.0, "gates", "0123456789abcdef", 300)
    assert (StreamSettings.parse(raw_vector("settings")), settings.to_json()) == (settings, raw_vector("settings"))
    assert (Install.parse(raw_vector("install")), Install(4).to_json()) == (Install(4), raw_vector("install"))


def test_the_outcomes_on_the_page_are_what_the_code_writes() -> None:
    skip = Skip(FrameIdentity(1767225600123, 7), "stale")
    assert (outcome_from_json(SKIPPED, raw_vector("skipped")), outcome_to_json(skip)) == (skip, raw_vector("skipped"))
    refusal = Refusal("crc_mismatch", "CRC-32 of 53 bytes does not match: changed on the way")
    body = raw_vector("refused")
    assert (outcome_from_json(REFUSED, body), outcome_to_json(refusal)) == (refusal, body)


def test_every_reason_that_the_code_can_give_is_in_the_table_with_its_error() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE))
    named = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, FrameRefused)}
    bases = {base for refusal in named for base in refusal.__bases__}
    assert documented == {(refusal.reason, refusal.__name__) for refusal in named - bases}


def test_every_key_is_in_the_table() -> None:
    documented = set(re.findall(r"^\| `(narrows:[^`]+)` \|", PAGE, re.MULTILINE))
    stream, shard = StreamKeys("STREAM", 7), ShardKeys(7)
    own = [stream.features, stream.outcomes, stream.control, stream.seen, stream.chain, stream.contexts, stream.ledger]
    own += [
        stream.prompts,
        stream.prompt_state,
        stream.still,
        stream.plan,
        shard.streams,
        shard.lease,
        shard.fence,
        shard.dead,
    ]
    scaling = {key for name, key in vars(ScaleKeys).items() if name.isupper()}
    assert scaling
    assert documented == {INSTALL_KEY, DISPATCHERS_KEY, UNREADY_KEY, AUDIT_KEY, LABEL_TABLES_KEY, *scaling} | {
        key.replace("{7}", "{S}") for key in own
    }


def test_the_records_of_prompts_are_written_and_read_as_the_page_says() -> None:
    asked, answered = PromptList.parse(raw_vector("prompts")), PromptAnswers.parse(raw_vector("prompt-state"))
    assert (asked.to_json(), answered.to_json()) == (raw_vector("prompts"), raw_vector("prompt-state"))
    assert [(each.id, each.version) for each in asked.prompts][:1] == [
        (each.id, each.version) for each in answered.prompts
    ]
    assert asked.still is not None
    assert answered.still == StillAnswer(asked.still.asked_ms, "sent")
    assert Still.parse(raw_vector("still")).to_json() == raw_vector("still")
    section = PAGE[PAGE.index("## 10.") :]
    states = re.findall(r"^\| `(\w+)` \| (prompt|camera|still)\b", section, re.MULTILINE)
    assert {state for state, of in states if of == "prompt"} == set(PromptState)
    assert {state for state, of in states if of == "camera"} == set(Unable)
    assert {state for state, of in states if of == "still"} == set(StillState)


def test_what_a_camera_that_plans_is_told_and_says_is_as_on_the_page() -> None:
    asked = Control(design="cut 1, level 0", cloud_load=0.25, cuts=(0, 1))
    assert (Control.parse(raw_vector("control-split")), asked.to_json()) == (asked, raw_vector("control-split"))
    said = Explanation.parse(raw_vector("plan"))
    assert (said.chosen.design, said.changes[0].value) == ("cut 1, level 0", 8192.0)
    assert said.to_json() == raw_vector("plan")


def test_the_example_shards_are_right() -> None:
    found = re.search(r"of 4, `cam-1` to (\d) and `cam-2` to (\d)", PAGE)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (shard_of("cam-1", 4), shard_of("cam-2", 4))


def test_every_setting_of_a_stream_is_in_the_table() -> None:
    section = PAGE[PAGE.index("## 6.") : PAGE.index("## 7.")]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(StreamSettings.__struct_fields__)


def test_what_is_kept_how_long_is_what_the_programs_do() -> None:
    dispatch = DispatchSettings()
    kept = {
        "in": f"about {EDGE_MAXLEN} (`XADD … MAXLEN ~`)",
        "out": f"about {dispatch.retention}, and an hour after the last; "
        f"of those that take more than {dispatch.retention_bytes >> 20} MiB fewer",
        "dead": f"about {dispatch.dead_letters}",
        "lease": f"{dispatch.lease_ttl_ms // 1000} s, renewed",
    }
    rows = {
        name: row for row in PAGE.splitlines() for name in kept if re.match(rf"\| `narrows:\{{S\}}:{name}[:`]", row)
    }
    assert dispatch.retention_s == 3600
    assert all(text in rows[name] for name, text in kept.items())
    assert f"about {AUDIT_ENTRIES:,} events".replace(",", " ") in PAGE
    assert f"more than {dispatch.future_ms // 1000} s ahead" in PAGE
    assert f"`lost` {dispatch.gap_s:.0f} s after its gap" in PAGE


def table_fields(section: str, data: bytes) -> dict[str, int]:
    """The fixed fields of a packet, read by nothing but the offsets and types in a section's table."""
    text = PAGE[PAGE.index(section) :]
    rows = re.findall(
        r"^\| (\d+) \| u(\d+) \| ([^|]+) \|", text[: text.index("\n\n", text.index("|---"))], re.MULTILINE
    )
    return {
        name.partition(",")[0].strip(): int.from_bytes(data[int(offset) : int(offset) + int(bits) // 8], "little")
        for offset, bits, name in rows
    }


@pytest.mark.parametrize("name", ["key", "predicted", "sealed"])
def test_the_feature_table_alone_reads_the_vectors(name: str) -> None:
    fields, packet = table_fields("## 2.", hex_vector(name)), described_packet(name)
    channels, height, width = packet.shape.as_tuple()
    assert fields == {
        "schema version": 1,
        "flags": packet.kind | packet.cipher << 4,
        "key id": packet.key_id,
        "reference distance": packet.reference_distance,
        "bundle id": packet.bundle_id,
        "epoch": packet.epoch,
        "sequence": packet.sequence,
        "capture time": packet.capture_ms,
        "rate level": packet.level,
        "cut": packet.cut,
        "shape": (channels - 1) + ((height - 1) << 10) + ((width - 1) << 21),
        "reference digest": packet.reference_digest,
        "own digest": packet.own_digest,
        "CRC": zlib.crc32(hex_vector(name)[:44] + hex_vector(name)[48:]),
    }


def test_the_mask_table_alone_reads_the_vector() -> None:
    data, fields = hex_vector("mask-raw"), json_vector("mask")
    read, spans = table_fields("## 3.", data), fields["timings"]
    assert [read[name] for name in ("epoch", "sequence", "capture time", "bundle id")] == [
        fields["epoch"],
        fields["sequence"],
        fields["capture_ms"],
        int(fields["bundle_id"], 16),
    ]
    assert [read[name] for name in ("packing: 0 = raw", "classes", "height", "width", "reserved")] == [0, 3, 2, 3, 0]
    assert [read[name] for name in ("rate level of the feature packet", "size of the feature packet")] == [
        fields["level"],
        fields["feature_bytes"],
    ]
    assert [
        read[name] for name in ("wait in Redis", "entropy decoding", "wait for a batch", "inference", "packing")
    ] == [*spans.values()]
    assert [int.from_bytes(data[60 + 4 * i : 64 + 4 * i], "little") for i in range(3)] == fields["areas"]
    assert list(data[72:-4]) == [label for row in fields["labels"] for label in row]
    assert int.from_bytes(data[-4:], "little") == zlib.crc32(data[:-4])
