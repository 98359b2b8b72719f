"""One target under atheris (libFuzzer, guided by coverage of our Python): ``python -m tests.fuzz.drive TARGET ...``.

What follows the target goes to libFuzzer. Every second mutation keeps a broken checksum, the others get the right one.
An input that takes the processor over 100 ms is a finding, and so is one that makes the process larger than 512 MB.
"""

from __future__ import annotations

import sys
import time

import atheris

_OURS = ["narrows.contract.wire", "narrows.contract.seal", "narrows.contract.outputs", "narrows.contract.codec"]
with atheris.instrument_imports(include=_OURS):
    from tests.fuzz.targets import TARGETS

SLOW_S = 0.1
RSS_MB = 512


class TooSlow(Exception):
    """An input took longer than any may."""


def main() -> None:
    target = TARGETS[sys.argv[1]]

    def one(data: bytes) -> None:
        began_s = time.thread_time()
        target.run(data)
        took_s = time.thread_time() - began_s
        if took_s > SLOW_S:
            raise TooSlow(f"{took_s:.3f} s for {len(data)} bytes")

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        mutated: bytes = atheris.Mutate(data, most)
        return mutated if seed % 4 == 0 else target.repair(mutated)[:most]

    atheris.Setup([sys.argv[0], *sys.argv[2:], f"-rss_limit_mb={RSS_MB}"], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
