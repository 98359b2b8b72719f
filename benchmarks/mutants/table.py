"""The faults that are planted, and who catches each.

A text that is no longer in its file exactly once is an error by the mutant's name, and a unit test looks. Where the
code moved on, plant the fault where it would live now; one that cannot be made any more goes.
"""

from __future__ import annotations

from benchmarks.mutants.of_contract import CONTRACT
from benchmarks.mutants.of_dispatch import DISPATCH
from benchmarks.mutants.of_programs import PROGRAMS

MUTANTS = (*DISPATCH, *CONTRACT, *PROGRAMS)
