"""Build every decoder graph that the stack would build engines from, on a processor, with TensorRT-RTX's parser.

Example: python -m benchmarks.engines --bundle bundles/demo
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.engines.terms import ACCEPT
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle
from narrows.runtime.triton_config import fill_repository
from orchestrator.engine_build.plan import shapes_of

PYTHON = Path(".venv-engines/bin/python")
CAPABILITIES = ("SM80", "SM86", "SM89")
"""A100; A10 and RTX 30; L4 and RTX 40. The builder takes no SM90."""
GRAPHS = {"float": "model.onnx", "int8": "model.int8.onnx"}
LONGEST_S = 600
Row = dict[str, Any]


def main() -> int:
    """Print a line a build; 1 if the parser or the builder refused a graph."""
    options = _options()
    rows = [row for folder in options.bundle for row in _rows(Bundle.open(folder))]
    built = [row for row in rows if "refused" not in row]
    if built and not options.quick:
        versions = sorted({row.pop("version") for row in rows})
        parser = f"TensorRT-RTX {', '.join(versions)}"
        print(write_result("engines", f"make check-engines ARGS={ACCEPT}", {"parser": parser, "builds": rows}))
    return 0 if len(built) == len(rows) else 1


def _rows(bundle: Bundle) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        model = fill_repository(bundle, Path(scratch))
        batches = [_batch(shapes) for shapes in shapes_of((model / "config.pbtxt").read_text())]
        for precision, name in GRAPHS.items():
            graph = model / "1" / name
            for capability in CAPABILITIES if graph.is_file() else ():
                about = {"bundle": bundle.hex_id, "graph": precision, "capability": capability, "batches": batches}
                row = {**about, **_built(graph, capability, batches)}
                print(_line(row), flush=True)
                yield row


def _batch(shapes: str) -> int:
    """The batch in ``symbols:8x48x23x30,level:8x1``."""
    return int(shapes.partition(":")[2].partition("x")[0])


def _built(graph: Path, capability: str, batches: list[int]) -> Row:
    asked = json.dumps({"graph": str(graph), "capability": capability, "batches": batches})
    command = [str(PYTHON), str(Path(__file__).with_name("build.py")), asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_S)
    if done.returncode != 0:
        return {"refused": f"the builder ended with {done.returncode}: {done.stderr.strip()[-300:]}", "version": "?"}
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def _line(row: Row) -> str:
    told = (
        f"{row['bundle']} {row['graph']:<5} {row['capability']} batches {row['batches'][0]} to {row['batches'][-1]}: "
    )
    if "refused" in row:
        return f"{told}REFUSED {row['refused']}"
    return (
        f"{told}{row['layers']} layers, {row['fused_layers']} fused, {row['size_bytes'] / 1e6:.1f} MB, "
        f"{row['seconds']:.1f} s"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make check-engines", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, nargs="+", default=[Path("bundles/demo")], help="bundle folders")
    parser.add_argument("--quick", action="store_true", help="write no result")
    parser.add_argument(ACCEPT, action="store_true", help="NVIDIA's, which the wheels come under")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
