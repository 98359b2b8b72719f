"""Words for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number and what it counts, in the singular where there is one.

    Example:
        >>> counted(1, "stream"), counted(2, "stream"), counted(0, "frame")
        ('1 stream', '2 streams', '0 frames')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_line(error: BaseException) -> str:
    r"""An error's first line, or what kind it is where it says nothing.

    Example:
        >>> first_line(ValueError("no number\nat line 3")), first_line(RuntimeError())
        ('no number', 'RuntimeError')
    """
    return str(error).strip().partition("\n")[0] or type(error).__name__


def printable(text: str) -> str:
    r"""A line that others wrote, for a terminal: what would move the cursor or colour it is shown as what it is.

    Example:
        >>> print(printable("gate\x1b[2J-3"))
        gate\x1b[2J-3
    """
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
