"""What fuzzing kept holds still, and so do mutations of it: every input ends as a value or as its named error."""

from __future__ import annotations

import random
import resource
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from tests.fuzz.examples import OPENED
from tests.fuzz.targets import TARGETS, Target, sealed

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
MUTATIONS = 3000


def kept(name: str) -> list[Path]:
    return sorted((CORPUS / name).iterdir())


def mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 8)]
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                changed[at : at + 4] = chance.choice([bytes(4), b"\xff" * 4, b"\1\0\0\0", b'}]"0'])
    return bytes(changed)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_was_kept_and_its_mutations_are_values_or_named_errors(target: Target) -> None:
    inputs = [path.read_bytes() for path in kept(target.name)]
    forgotten = set(target.seeds) - set(inputs)
    assert not forgotten, (
        f"CONTRIBUTING, `Add a record`, says how to write {len(forgotten)} new inputs of {target.name}"
    )
    for data in inputs:
        target.run(data)
    chance = random.Random(7)
    for _ in range(MUTATIONS):
        data = mutated(chance.choice(inputs), chance)
        target.run(target.repair(data) if chance.random() < 0.75 else data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_valid_inputs_are_valid_and_a_broken_claim_is_seen(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in target.seeds:
        assert target.repair(seed) == seed
    if target.name == "sealed":
        monkeypatch.setattr("tests.fuzz.targets.OPENED", OPENED[:1])
        with pytest.raises(AssertionError):
            sealed(target.seeds[1])


def test_the_corpus_is_small() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(sizes) < 200_000
    assert len(sizes) < 300


@pytest.mark.parametrize("name", ["codec", "labels", "masks"])
def test_a_coder_bears_what_was_kept_under_the_sanitizers(name: str, tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler here")
    program = tmp_path / "replay"
    flags = ["-g", "-O1", "-DREPLAY", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    built = subprocess.run(
        [compiler, *flags, "-o", program, CORPUS.parent / f"{name}_fuzzer.c"],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        pytest.skip(f"{compiler} has no sanitizers here: {built.stderr[-200:]}")
    done = subprocess.run([program, *kept(name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_mask_that_claims_the_most_is_refused_before_it_is_made() -> None:
    """A header of 8192 x 2048 pixels over a few bytes makes nothing of that size."""
    head = bytearray(TARGETS["mask"].seeds[0])
    struct.pack_into("<HH", head, 30, 8192, 2048)
    data = bytes(head[:-4]) + struct.pack("<I", zlib.crc32(bytes(head[:-4])))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    TARGETS["mask"].run(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 8_000
