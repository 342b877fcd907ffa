"""The guide has all that the package has."""

import re
from pathlib import Path

from nvmix import Status

GUIDE = Path(__file__).parents[1] / "docs" / "guide"


def test_every_status_has_a_section_with_an_example_that_ends_so():
    page = (GUIDE / "converged.md").read_text("utf-8")
    sections = dict(re.findall(r"^## ([A-Z_]+)\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == [status.name for status in Status]
    for name, text in sections.items():
        assert f"'{name}'" in text or f"is Status.{name}\nTrue" in text
