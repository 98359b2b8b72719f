"""One planted fault, and how it is put into a copy of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import NarrowsError


class MutantRotten(NarrowsError):
    """The text that a fault replaces is not in its file exactly once: the code moved on, and the table did not."""


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Attributes:
        name: what is wrong then.
        file: where, from the project's root.
        find: the text that is there, exactly once.
        replacement: what stands there instead.
        test: the test that must fail, as pytest names it.
    """

    name: str
    file: str
    find: str
    replacement: str
    test: str

    def applied_to(self, text: str) -> str:
        """The file's text with the fault in it.

        Raises:
            MutantRotten: the text is not there exactly once, or the replacement changes nothing.
        """
        count = text.count(self.find)
        if count != 1 or self.find == self.replacement:
            raise MutantRotten(f"{self.name}: {self.find!r} is {count} times in {self.file}, and should be once")
        return text.replace(self.find, self.replacement)

    @contextmanager
    def planted(self, tree: Path) -> Iterator[None]:
        """Have the fault in a tree while the context lasts.

        Raises:
            MutantRotten: it cannot be planted.
        """
        path = tree / self.file
        whole = path.read_text()
        path.write_text(self.applied_to(whole))
        try:
            yield
        finally:
            path.write_text(whole)
