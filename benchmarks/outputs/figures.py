"""The figures of ``benchmarks/results/outputs.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table

MOST_OUTPUTS = 8


def mask_bytes(mask: dict[str, Any], outputs: int) -> float:
    """What a camera sends that makes so many masks itself."""
    return float(mask["first_bytes"] + (outputs - 1) * mask["further_bytes"])


def cloud_macs(result: dict[str, Any], outputs: int) -> float:
    """What the cloud computes for so many outputs of one frame: the decoder, and a head for each further one."""
    decoder, head = result["decoder_macs"], result["served_macs"] - result["decoder_macs"]
    return float(decoder + (outputs - 1) * head)


def crossing(packet_bytes: float, mask: dict[str, Any]) -> int | None:
    """From how many outputs on features take fewer bytes than a mask for each; ``None`` beyond those counted."""
    return next((n for n in range(1, MOST_OUTPUTS + 1) if mask_bytes(mask, n) > packet_bytes), None)


def render(result: dict[str, Any]) -> str:
    """Bytes by number of outputs, the crossing points, and how far the head agrees with its teacher."""
    masks, levels = result["masks"], result["levels"]
    counts = [1, 2, 4, MOST_OUTPUTS]
    by_count = table(
        [
            "outputs",
            *(f"masks at 1/{mask['divisor']}, bytes" for mask in masks),
            "features, level 0 to 4, bytes",
            "cloud, MMAC a frame (features)",
        ],
        [
            [
                str(n),
                *(f"{mask_bytes(mask, n):,.0f}" for mask in masks),
                " / ".join(f"{level['packet_bytes']:,.0f}" for level in levels),
                f"{cloud_macs(result, n) / 1e6:,.0f}",
            ]
            for n in counts
        ],
    )
    by_level = table(
        [
            "level",
            *(f"features are smaller from (masks at 1/{mask['divisor']})" for mask in masks),
            "agreement with the teacher",
            "mIoU, mapped classes",
        ],
        [
            [
                str(level["level"]),
                *(_outputs(crossing(level["packet_bytes"], mask)) for mask in masks),
                f"{level['agreement']:.1%}",
                f"{level['miou']:.1%}",
            ]
            for level in levels
        ],
    )
    note = (
        f"{result['frames']} frames that the head `{result['head']}` ({result['head_bytes']:,} bytes) did not see; its "
        f"teacher has {result['teacher_miou']:.1%} mIoU on the mapped classes. The third output to the eighth are "
        "counted as the second; masks with the bundle's label tables (the first) and the general ones, at level 0."
    )
    return f"{by_count}\n\n{by_level}\n\n{note}"


def _outputs(count: int | None) -> str:
    if count is None:
        return f"more than {MOST_OUTPUTS} outputs"
    return f"{count} output{'s' if count > 1 else ''}"
