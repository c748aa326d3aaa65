"""The example in the README runs, and prints what the README says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_example_prints_what_the_readme_says() -> None:
    examples = EXAMPLE.findall(README.read_text(encoding="utf-8"))
    assert examples, "README.md has no python block followed by a text block"
    for code, expected in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(README), "exec"), {"__name__": "readme"})
        assert printed.getvalue() == expected
