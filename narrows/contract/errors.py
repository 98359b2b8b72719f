"""Every error that Narrows raises on purpose. Each says what happened, to which thing, and what to do.

::

    NarrowsError
    ├── FrameRefused          one frame cannot end in a mask; ``reason`` is its counter label
    │   ├── PacketError       its bytes are no valid packet
    │   ├── ...               it is valid, but cannot be used here or now
    ├── RecordError           a mask packet or a JSON record that cannot be parsed
    │   └── LabelTablesMissing    it is good, but what it was packed with is not here
    ├── BundleError           a bundle folder that is incomplete, altered or of another schema
    │   └── HeadError         a head that cannot be added to a bundle, or taken out of it
    ├── DatasetError, WeightsMismatch                      the workshop's inputs
    ├── TrainingDiverged      a loss that is no number
    ├── PrecisionRefused      a precision that the runtime here does not execute
    ├── PromptInvalid         a box or points that mean nothing in their picture
    │   └── PromptsFull           one more than a camera may have
    ├── PromptConflict        another operator changed the prompts meanwhile, or took the one that is meant away
    ├── PictureError          a picture, label file or video frame that cannot be read or shown faithfully
    ├── SourceError                                        a camera, video or folder that yields no frames
    ├── EncoderError, StateError                           a camera program's machine does not give it what it needs
    ├── ConfigError           the configuration file has a key or a value that nothing has
    ├── SecretError           a key, password or token that cannot be used, or that others could read
    ├── SplitError            a network that cannot be split, profiled or coded as asked; it can be served whole
    │   ├── ...               by name: control flow, an unknown operator, a dynamic shape, external data
    ├── KernelMissing         the compiled symbol coder is not there or does not fit its source
    └── ServiceError          Redis or Triton is absent, misconfigured or refuses
"""

from __future__ import annotations

from typing import ClassVar


class NarrowsError(Exception):
    """The root: catching it catches every named failure and no bug."""


class FrameRefused(NarrowsError):
    """One frame ends without a mask. ``reason`` is stable: a counter label, a ledger field, a dead letter's reason."""

    reason: ClassVar[str] = "refused"


class PacketError(FrameRefused):
    """The bytes are no valid FeaturePacket."""

    reason: ClassVar[str] = "packet"


class PacketTruncated(PacketError):
    """Fewer bytes than the fixed header."""

    reason: ClassVar[str] = "truncated"


class PacketTooLarge(PacketError):
    """More bytes than any camera sends; nothing of it was parsed."""

    reason: ClassVar[str] = "too_large"


class SchemaUnknown(PacketError):
    """A schema version that this build does not speak."""

    reason: ClassVar[str] = "schema_version"


class PacketCorrupt(PacketError):
    """The CRC does not match: the bytes were changed on the way."""

    reason: ClassVar[str] = "crc_mismatch"


class PayloadEmpty(PacketError):
    """A header without symbols behind it."""

    reason: ClassVar[str] = "empty_payload"


class ShapeBeyondLimits(PacketError):
    """A latent shape with a zero or more values than any bundle has."""

    reason: ClassVar[str] = "shape_limits"


class FieldInvalid(PacketError):
    """A field contradicts the specification or another field."""

    reason: ClassVar[str] = "field"


class SectionCount(PacketError):
    """A packet without sections, or with more than 32."""

    reason: ClassVar[str] = "section_count"


class SectionKindUnknown(PacketError):
    """A kind of section that this build does not read."""

    reason: ClassVar[str] = "section_kind"


class SectionOrder(PacketError):
    """A section that depends on itself or on a later one."""

    reason: ClassVar[str] = "section_order"


class SectionOverlap(PacketError):
    """Two sections that are the same output or tensor."""

    reason: ClassVar[str] = "section_overlap"


class SectionBounds(PacketError):
    """Sections whose lengths go beyond the packet's end."""

    reason: ClassVar[str] = "section_bounds"


class EntryMalformed(PacketError):
    """A Redis entry without the field that holds the packet."""

    reason: ClassVar[str] = "missing_field"


class StreamIdInvalid(FrameRefused):
    """A stream id with characters that keys, metrics and shells cannot carry."""

    reason: ClassVar[str] = "stream_id"


class BundleUnknown(FrameRefused):
    """The packet names a bundle that this process does not serve."""

    reason: ClassVar[str] = "unknown_bundle"


class ShapeMismatch(FrameRefused):
    """The packet's shape, level or cut is not one of its bundle's."""

    reason: ClassVar[str] = "shape_mismatch"


class SectionsUnsupported(FrameRefused):
    """Sections that no bundle here decodes; those are a latent, a label map, or one behind the other, and objects."""

    reason: ClassVar[str] = "sections"


class CameraDecoderMissing(FrameRefused):
    """A camera's mask, and its bundle has no decoder for cameras: nobody knows what made it."""

    reason: ClassVar[str] = "no_camera_decoder"


class MaskTooLarge(FrameRefused):
    """A camera's mask of more bytes than masks have: noise, which would fill Redis and keep decoders from others."""

    reason: ClassVar[str] = "mask_too_large"


class LabelTableUnknown(FrameRefused):
    """A label map coded with a table that is neither the general one nor its bundle's."""

    reason: ClassVar[str] = "unknown_label_table"


class LabelMapPredicted(FrameRefused):
    """A label map in a P packet: label maps are coded alone, so their packets are K."""

    reason: ClassVar[str] = "predicted_label_map"


class TailNotLoaded(FrameRefused):
    """Tensors of a cut whose tail this process does not serve."""

    reason: ClassVar[str] = "tail_not_loaded"


class PrecisionUnknown(FrameRefused):
    """Tensors at a level or precision that the plan of their cut does not have."""

    reason: ClassVar[str] = "unknown_precision"


class TensorsPredicted(FrameRefused):
    """Tensors in a P packet: they are coded alone, so their packets are K."""

    reason: ClassVar[str] = "predicted_tensors"


class PayloadUndecodable(FrameRefused):
    """The entropy decoder ran out of bytes, or ended in the wrong state, or left bytes over."""

    reason: ClassVar[str] = "undecodable"


class DigestMismatch(FrameRefused):
    """The symbols decoded, but are not those that the camera coded."""

    reason: ClassVar[str] = "digest_mismatch"


class ReferenceLost(FrameRefused):
    """A P packet whose reference is not at hand; a key frame was asked for."""

    reason: ClassVar[str] = "reference_lost"


class ContextLost(FrameRefused):
    """A packet that names a context which is not at hand; a key frame was asked for."""

    reason: ClassVar[str] = "context_lost"


class SealRefused(FrameRefused):
    """A packet that is not authentic, or cannot be shown to be: nothing in its header is believed."""

    reason: ClassVar[str] = "seal_refused"


class SealUnsupported(SealRefused):
    """A cipher suite that this build cannot open."""

    reason: ClassVar[str] = "seal"


class SealKeyUnknown(SealRefused):
    """A key id that this process holds no key for."""

    reason: ClassVar[str] = "seal_key_unknown"


class SealKeyRevoked(SealRefused):
    """A key that was revoked, or whose time of grace is over."""

    reason: ClassVar[str] = "seal_key_revoked"


class SealBroken(SealRefused):
    """The tag does not match: altered, of another stream, or sealed with another key."""

    reason: ClassVar[str] = "seal_broken"


class SealMissing(SealRefused):
    """An open packet where sealed ones are required."""

    reason: ClassVar[str] = "seal_missing"


class EntryIdForged(FrameRefused):
    """An entry id that Redis did not give: ahead of its clock, or older than what had been read already."""

    reason: ClassVar[str] = "forged_id"


class ClockInFuture(FrameRefused):
    """A capture time far ahead of the server's clock, where the stream's settings forbid it."""

    reason: ClassVar[str] = "clock_future"


class SequenceJump(FrameRefused):
    """A sequence so far ahead that counting the gap as lost frames would be a lie."""

    reason: ClassVar[str] = "sequence_jump"


class EpochStale(FrameRefused):
    """A frame from before the camera's last known boots."""

    reason: ClassVar[str] = "stale_epoch"


class FramePoison(FrameRefused):
    """An entry that was delivered too often without an end: it kills what touches it."""

    reason: ClassVar[str] = "poison"


class OutcomeRefused(FrameRefused):
    """Redis will never take this frame's outcome: a mask beyond ``proto-max-bulk-len`` or a client's memory."""

    reason: ClassVar[str] = "outcome_refused"


class InferenceFailed(FrameRefused):
    """Triton refused or failed this frame on every try."""

    reason: ClassVar[str] = "inference"


def refusal_reasons(kind: type[FrameRefused] = FrameRefused) -> frozenset[str]:
    """Every ``reason`` for which a frame can be refused."""
    kinds = kind.__subclasses__()
    return frozenset().union(*map(refusal_reasons, kinds)) if kinds else frozenset({kind.reason})


class RecordError(NarrowsError):
    """A mask packet or a JSON record that cannot be parsed; the message names the record and the field."""


class LabelTablesMissing(RecordError):
    """A small mask whose label tables are not to be had here; the message says where they would be."""


class BundleError(NarrowsError):
    """A bundle folder is incomplete, altered or of another schema."""


class HeadError(BundleError):
    """A head cannot be added to a bundle, or taken out of it."""


class HeadAltered(HeadError):
    """A head's graph is missing, or is not the one that its record pins."""


class HeadOfAnotherBundle(HeadError):
    """A head that was trained on other symbols, or reads tensors of another decoder."""


class HeadNameTaken(HeadError):
    """Two outputs of one name."""


class HeadKindUnknown(HeadError):
    """A head that answers with a kind of output that this build does not know."""


class HeadGraphRefused(HeadError):
    """A head's graph with other inputs or outputs than the decoder can be joined with."""


class OutputIsTheDecoders(HeadError):
    """What is to be removed is no head: the decoder's own output, which every bundle has."""


class PrecisionRefused(NarrowsError):
    """The runtime here stores numbers of this precision, but does not compute with them."""


class WeightsMismatch(NarrowsError):
    """A weights file does not fit the network that should load it."""


class TrainingDiverged(NarrowsError):
    """A training whose loss is no number any more; what it kept before stands."""


class DeviceMissing(NarrowsError):
    """The device that was asked for is not in this machine, or torch was built without it."""


class DatasetError(NarrowsError):
    """A labelled folder is not in the documented layout; the message names the file."""


class PromptInvalid(NarrowsError):
    """A prompt that points at nothing: outside its picture, without area, or with negative points alone."""


class PromptsFull(PromptInvalid):
    """A prompt more than a camera may have."""


class PromptConflict(NarrowsError):
    """The prompts of a camera are not those that were meant: another operator changed them meanwhile."""


class StillRefused(NarrowsError):
    """A camera sends no still picture: its site allows none, or no more for now."""


class PictureError(NarrowsError):
    """A picture, label file or video frame that cannot be read, or not be shown faithfully in 8-bit RGB."""


class SourceError(NarrowsError):
    """A camera, video file or picture folder yields no frames."""


class EncoderError(NarrowsError):
    """The encoder cannot run here: ONNX Runtime is missing, or refuses the model."""


class FrameTooLarge(EncoderError):
    """What crosses for one picture takes more than a packet at every rate level."""


class FileUnwritable(NarrowsError):
    """A file or folder that was asked for cannot be written: a folder, a full disk, no right to."""


class StateError(NarrowsError):
    """A camera's state folder cannot be read, written or locked."""


class ServiceError(NarrowsError):
    """Redis or Triton is absent, misconfigured or refuses; the message says which and what to do."""


class ServiceUnavailable(ServiceError):
    """What is asked is not there now and may come: Redis does not answer, or no dispatcher has begun."""


class ConfigError(NarrowsError):
    """A configuration file that cannot be read, or has a section, key or value that does not exist."""


class SecretError(NarrowsError):
    """A file of keys, a password or a token that cannot be used, or that others could read."""


class KernelMissing(NarrowsError):
    """The compiled symbol coder is not there, or no C compiler is; the message says what to run."""


class SplitError(NarrowsError):
    """A network cannot be split as asked; the message says what stands in the way. It can still be served whole."""


class ControlFlow(SplitError):
    """A graph with branches or loops: which node runs is known only at run time."""


class OperatorUnknown(SplitError):
    """An operator that the ONNX standard does not have: its outputs' shapes cannot be known."""


class NotRunnable(SplitError):
    """A graph that ONNX Runtime refuses: it contradicts itself, is too new, or asks for what is not built in."""


class ShapeDynamic(SplitError):
    """A tensor without a fixed shape: bytes and memory are not known beforehand."""


class ExternalData(SplitError):
    """Weights that lie outside the file."""


class NetworkTooLarge(SplitError):
    """A file beyond the 2 GiB that a protobuf message may have."""


class SeveralInputs(SplitError):
    """A network that takes more than one tensor, or none: a camera gives one picture."""


class CutUnknown(SplitError):
    """Tensors that do not cut the network in two, or a cut that it does not have."""


class NotTrainable(SplitError):
    """A network, or an operator of it, through which nothing is learned here."""


class ProfilingFailed(SplitError):
    """The device did not measure the network: not reached, or ONNX Runtime is missing or refuses there."""


class DesignUnknown(SplitError):
    """A design that the plan table does not have, or that no tail on the servers matches."""
