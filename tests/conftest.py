"""Settings for all tests: how Hypothesis searches, and shapes checked at run time."""

from __future__ import annotations

import builtins
import os

import hypothesis
import jaxtyping

# The library names these in annotations only, and imports them for type checkers alone; here they
# are there at run time too, so that annotations can be evaluated.
for _name in ("Float", "Integer", "Num", "Real", "Shaped"):
    setattr(builtins, _name, getattr(jaxtyping, _name))

# Before funcgrad is imported: in these packages the shapes in annotations are checked at each call.
CHECKED = [
    "funcgrad.nn",
    "funcgrad.optim",
    *[f"funcgrad.numpy.{name}" for name in ("contraction", "diagonals", "linalg")],
]
jaxtyping.install_import_hook(CHECKED, "beartype.beartype")

# The time of one example says more about the machine than about the code: no deadline. In CI the
# examples are the same each time, so that a change is blamed only for what it did.
hypothesis.settings.register_profile("local", deadline=None, max_examples=30)
hypothesis.settings.register_profile(
    "ci", deadline=None, max_examples=30, derandomize=True, database=None
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: object) -> None:
    """`--golden=update` rewrites the golden files from what the code does now."""
    parser.addoption("--golden", choices=["check", "update"], default="check")
