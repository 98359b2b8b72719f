"""Where the parts of a batch lie in a slot's memory: none overlaps, each begins at a cache line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.bundle import ModelInput
from narrows.contract.outputs import Output
from narrows.contract.outputs.labels import labels_output
from orchestrator.inference.contract import ServedOutput
from orchestrator.inference.shape import BatchShape

VERSION = "0" * 16
sides = st.integers(1, 40)
labels = st.builds(labels_output, sides, sides, st.just(("road",)))
scores = st.builds(lambda n: Output("scene", "scores", "float32", (n,), "raw"), sides)


def latent_inputs(shape: tuple[int, int, int]) -> tuple[ModelInput, ...]:
    return ModelInput("symbols", "int8", shape), ModelInput("level", "int32", (1,))


latents = st.tuples(sides, sides, sides).map(latent_inputs)
tensors = st.lists(
    st.builds(ModelInput, st.just("tensor"), st.sampled_from(["float32", "int8"]), st.tuples(sides, sides)),
    min_size=1,
    max_size=4,
).map(tuple)


def test_one_label_map_lies_where_it_always_did() -> None:
    shape = BatchShape(2, latent_inputs((3, 5, 7)), (ServedOutput(labels_output(4, 6, ("road",)), VERSION),))
    assert (shape.inputs_at, shape.outputs_at) == ((0, 256), (320,))
    assert shape.size_bytes >= 320 + 2 * 4 * 6


@given(st.integers(1, 16), latents | tensors, st.lists(labels | scores, min_size=1, max_size=5))
def test_parts_do_not_overlap_and_begin_at_a_cache_line(
    max_batch: int, inputs: tuple[ModelInput, ...], outputs: list[Output]
) -> None:
    shape = BatchShape(max_batch, inputs, tuple(ServedOutput(output, VERSION) for output in outputs))
    starts = [*shape.inputs_at, *shape.outputs_at, shape.size_bytes]
    parts: tuple[ModelInput | Output, ...] = (*inputs, *outputs)
    sizes = [part.size_bytes(max_batch) for part in parts]
    assert all(start % 64 == 0 for start in starts[:-1])
    for start, size, following in zip(starts, sizes, starts[1:], strict=False):
        assert start + size <= following
