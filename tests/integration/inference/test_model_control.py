"""A real Triton that loads no model by request: that is said by name, and inference goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from narrows.contract.bundle import Bundle
from narrows.ops.doctor.triton_server import gather, judge
from narrows.runtime.triton_config import model_name
from orchestrator.inference import TritonDecoder
from orchestrator.inference.contract import lent
from orchestrator.scaling.engines.instances import TritonInstances
from orchestrator.scaling.replicas import ActuationFailed
from orchestrator.servers import LocalTriton, local_triton
from orchestrator.telemetry.faults import Cause


@pytest.fixture(scope="module")
def without_control(
    demo_bundle: Bundle, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalTriton]:
    options = local_triton._options

    def other_mode(*given: object) -> Sequence[str]:
        kept = [option for option in options(*given) if not option.startswith("--load-model")]  # type: ignore[arg-type]
        return [option.replace("mode=explicit", "mode=none") for option in kept]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_triton, "_options", other_mode)
        folder = tmp_path_factory.mktemp("run")
        with LocalTriton.start(model_repository, folder, [model_name(demo_bundle.id)]) as running:
            yield running


async def test_a_server_without_explicit_control_is_named_and_decodes(
    without_control: LocalTriton, demo_bundle: Bundle
) -> None:
    with capture_logs() as logs:
        decoder = await TritonDecoder.connect(without_control.grpc_address, demo_bundle, max_batch=2, slots=1)
    assert [line["server"] for line in logs if line["event"] == "model_control_missing"] == [
        without_control.grpc_address
    ]
    async with lent(decoder) as slot:
        slot.inputs["symbols"][:1] = 0
        slot.inputs["level"][:1] = 0
        assert len((await slot.run(1))[0]) == 1
    await decoder.close()


async def test_instances_that_cannot_be_made_anew_leave_the_others_working(
    without_control: LocalTriton, demo_bundle: Bundle
) -> None:
    decoder = await TritonDecoder.connect(without_control.grpc_address, demo_bundle, max_batch=2, slots=1)
    await decoder._model._make_anew(0, Cause.TRITON_INSTANCE_LOST, "a stub died")
    async with lent(decoder) as slot:
        assert len((await slot.run(1))[0]) == 1
    await decoder.close()


async def test_scaling_instances_says_what_is_missing(without_control: LocalTriton) -> None:
    instances = TritonInstances(lambda: [without_control.grpc_address])
    with pytest.raises(ActuationFailed, match="--model-control-mode=explicit"):
        await instances.set_instances(2)
    await instances.close()


def test_the_doctor_warns(without_control: LocalTriton) -> None:
    findings = [each for each in judge(gather(without_control.grpc_address), ()) if "explicit" in each.detail]
    assert [(each.subject, each.level.value) for each in findings] == [("Triton", "warn")]
