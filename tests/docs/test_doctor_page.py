"""``docs/doctor.md`` names every line that the doctor can print, and no other."""

import re

from tests.docs.blocks import ROOT

SUBJECT = re.compile(r'\b(?:(?:ok|warn|fail|Problem|_silent)\(\s*|_SUBJECT = )"([^"]+)"')


def test_the_table_has_the_doctors_lines() -> None:
    sources = [path.read_text() for path in (ROOT / "narrows/ops/doctor").glob("*.py")]
    printed = {subject for text in sources for subject in SUBJECT.findall(text)}
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "doctor.md").read_text(), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == printed
