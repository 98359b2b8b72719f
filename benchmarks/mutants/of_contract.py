"""Faults of what both ends agree on: packets, symbols, seals."""

from __future__ import annotations

from benchmarks.mutants.mutant import Mutant

_KERNEL, _RANS = "narrows/contract/codec/kernel.c", "narrows/contract/codec/rans.h"
_UNSEALING = "orchestrator/dispatch/unsealing.py"
_T = "tests/integration/dispatch/test_dispatch"
_U = "tests/unit"

WIRE = (
    Mutant(
        "a feature packet's CRC is not checked",
        "narrows/contract/wire/feature.py",
        "if zlib.crc32(payload, zlib.crc32(data[:_CRC_OFFSET])) != claimed:",
        "if claimed < 0:",
        f"{_U}/wire/test_wire_feature.py::test_changed_bytes_are_corrupt",
    ),
    Mutant(
        "a packet of any size is parsed",
        "narrows/contract/wire/feature.py",
        "        if len(data) > MAX_PACKET_BYTES:\n",
        "        if len(data) > 1 << 40:\n",
        f"{_U}/wire/test_wire_feature.py::test_a_packet_of_100_megabytes_is_too_large_before_anything_is_read_of_it",
    ),
    Mutant(
        "reserved flags are read as nothing",
        "narrows/contract/wire/feature.py",
        "if flags & 0x0E:",
        "if flags & 0x00:",
        f"{_U}/wire/test_wire_feature.py::test_reserved_flag_bits_are_refused",
    ),
    Mutant(
        "a shape of any size is believed",
        "narrows/contract/wire/feature.py",
        "if shape.symbols > MAX_SYMBOLS:",
        "if shape.symbols > 1 << 40:",
        f"{_U}/wire/test_wire_feature.py::test_the_largest_claimed_shape_is_beyond_the_limits",
    ),
    Mutant(
        "a mask's CRC is not checked",
        "narrows/contract/wire/mask.py",
        "if zlib.crc32(memoryview(data)[: -_CRC.size]) != _CRC.unpack_from(data, len(data) - _CRC.size)[0]:",
        "if not data:",
        f"{_U}/wire/test_wire_mask.py::test_what_is_wrong_with_a_mask_is_said",
    ),
)

CODEC = (
    Mutant(
        "an escape's prefix has no bound",
        _KERNEL,
        "while (k < longest) {",
        "while (k < 31) {",
        f"{_U}/codec/test_codec_roundtrip.py::test_the_extremes_pass_through_the_escape",
    ),
    Mutant(
        "the coder's last state is not checked",
        _RANS,
        "if (reader->state != STATE_LOW) return BAD_STATE;",
        "",
        f"{_U}/codec/test_codec_corruption.py::test_arbitrary_bytes_decode_as_the_specification_says",
    ),
    Mutant(
        "bytes behind the last symbol are ignored",
        _RANS,
        "return reader->at == reader->end ? OK : LEFT_OVER;",
        "return OK;",
        f"{_U}/codec/test_codec_corruption.py::test_an_extended_payload_is_refused",
    ),
    Mutant(
        "symbols are cut off instead of rounded",
        "narrows/contract/codec/symbols.py",
        "np.rint(",
        "np.trunc(",
        f"{_U}/codec/test_codec_quantise.py::test_values_are_scaled_rounded_and_clipped",
    ),
)

SEAL = (
    Mutant(
        "a key outlives its grace once it was used",
        _UNSEALING,
        "        self._ring.check(stream, key_id, self._now_s() * 1000)\n",
        "        if (stream, key_id) not in self._keys:\n"
        "            self._ring.check(stream, key_id, self._now_s() * 1000)\n",
        f"{_U}/dispatch/test_dispatch_unsealing.py::test_a_key_that_was_used_within_its_grace_is_refused_once_it_is_over",
    ),
    Mutant(
        "keys are kept for all streams alike",
        _UNSEALING,
        "key = self._keys.get((stream, key_id))",
        "key = next((key for (_, each), key in self._keys.items() if each == key_id), None)",
        f"{_U}/dispatch/test_dispatch_unsealing.py::test_a_key_derived_for_one_stream_opens_no_packet_of_another",
    ),
    Mutant(
        "two streams of one root share a key",
        "narrows/contract/seal/keyring.py",
        "info = _CONTEXT + bytes([key_id]) + stream.encode()",
        "info = _CONTEXT + bytes([key_id])",
        f"{_U}/seal/test_seal_keyring.py::test_no_two_streams_or_roots_share_a_key",
    ),
    Mutant(
        "a revoked key is good",
        "narrows/contract/seal/keyring.py",
        "        if (stream, key_id) in self.revoked:\n",
        "        if (stream, key_id) in ():\n",
        f"{_U}/seal/test_seal_keyring.py::test_a_revoked_stream_gets_no_key_of_the_same_root",
    ),
    Mutant(
        "a boot's frames share a nonce",
        "narrows/contract/seal/suite.py",
        "_NONCE = slice(12, 24)",
        "_NONCE = slice(8, 20)",
        f"{_U}/seal/test_seal_suite.py::test_an_implementation_from_the_page_alone_makes_the_same_bytes",
    ),
    Mutant(
        "an open packet passes where seals are required",
        _UNSEALING,
        "        if self._required:\n",
        "        if False:\n",
        f"{_T}_sealed.py::test_a_forgery_is_refused_by_name_and_takes_nothing_from_the_true_frame[an open packet]",
    ),
)

_SCHEDULE = "narrows/contract/schedule"
_FRAME = "narrows/contract/wire/frame_packet"
FRAME_PACKET = (
    Mutant(
        "a seal leaves out the context that does not travel",
        f"{_FRAME}/header.py",
        "time_ms >> 32) + first.encoded",
        "time_ms >> 32)",
        f"{_U}/seal/test_seal_frame.py::test_an_implementation_from_the_page_alone_makes_the_same_bytes",
    ),
    Mutant(
        "a nonce is made of the short offset",
        f"{_FRAME}/header.py",
        "_NONCE.pack(self.context.epoch, self.sequence)",
        "_NONCE.pack(self.context.epoch, self.sequence - self.context.sequence)",
        f"{_U}/seal/test_seal_frame.py::test_an_implementation_from_the_page_alone_makes_the_same_bytes",
    ),
    Mutant(
        "a frame packet's CRC is not checked",
        f"{_FRAME}/packet.py",
        "        if zlib.crc32(body, zlib.crc32(head.full())) != claimed:\n",
        "        if claimed < 0:\n",
        f"{_U}/wire/test_wire_frame_packet.py::test_the_crc_covers_the_context_that_does_not_travel",
    ),
)
LABELS = (
    Mutant(
        "a label map of any size is allocated",
        "narrows/contract/codec/labels.py",
        "layout.MAX_SIDE and height * width <= max_pixels):",
        "layout.MAX_SIDE):",
        f"{_U}/codec/test_labels_corruption.py::test_a_decode_bomb_is_refused_before_anything_is_allocated",
    ),
)
OUTPUTS = (
    Mutant(
        "an answer of another shape is taken",
        "narrows/contract/outputs/kind.py",
        "if values.dtype != output.dtype or values.shape[1:] != output.shape:",
        "if values.dtype != output.dtype:",
        f"{_U}/outputs/test_outputs.py::test_an_answer_of_another_dtype_or_shape_is_refused",
    ),
    Mutant(
        "a label beyond the classes is published",
        "narrows/contract/outputs/labels/__init__.py",
        "if largest >= len(output.classes):",
        "if largest > 255:",
        f"{_U}/outputs/test_outputs.py::test_values_that_a_kind_cannot_have_are_refused_from_bytes_and_from_triton",
    ),
)
SCHEDULE = (
    Mutant(
        "a head that was run long ago is known as it was then",
        f"{_SCHEDULE}/device_speed.py",
        "return own.ratio if recent else self._factor * own.beside",
        "return own.ratio",
        f"{_U}/schedule/test_device_speed.py::test_a_head_that_was_run_long_ago_follows_the_device",
    ),
    Mutant(
        "a pin is kept by its number among other designs",
        f"{_SCHEDULE}/planner.py",
        "Hysteresis(self.hysteresis.settings), None",
        "Hysteresis(self.hysteresis.settings), self._pinned",
        f"{_U}/schedule/test_planner.py::test_among_other_designs_a_pin_is_let_go_and_what_was_learned_stays",
    ),
    Mutant(
        "a camera that slept a minute changes its design by one look",
        f"{_SCHEDULE}/hysteresis.py",
        "min(now_s - self._looked_s, self.settings.longest_step_s)",
        "now_s - self._looked_s",
        f"{_U}/schedule/test_hysteresis.py::test_a_look_after_a_long_silence_counts_for_a_second_at_most",
    ),
    Mutant(
        "tails of two bundles have one name in Triton",
        "narrows/contract/bundle/split_bundle.py",
        'named = f"{self.bundle.hex_id} cut {self.number}".encode()',
        'named = f"cut {self.number}".encode()',
        f"{_U}/split_bundle/test_split_bundle.py::test_no_two_tails_have_an_id_in_common",
    ),
)

CONTRACT = (*SCHEDULE, *WIRE, *CODEC, *SEAL, *FRAME_PACKET, *LABELS, *OUTPUTS)
