"""The public suite, data-apis/array-api-tests, where a copy of it is at hand.

Its folder is named by the environment variable ARRAY_API_SUITE. The failures that are expected are
in suite_xfails.txt, each with its reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import funcgrad

HERE = Path(__file__).parent
XFAILS = HERE / "suite_xfails.txt"
SUITE = os.environ.get("ARRAY_API_SUITE", "")
EXAMPLES = "20"


@pytest.mark.slow
@pytest.mark.skipif(not SUITE, reason="ARRAY_API_SUITE names no copy of array-api-tests")
def test_public_suite() -> None:
    paths = [str(Path(funcgrad.__file__).parents[1]), SUITE, os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "ARRAY_API_TESTS_MODULE": "funcgrad.numpy",
        "ARRAY_API_TESTS_VERSION": "2024.12",
        "FUNCGRAD_ENABLE_X64": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    options = ["--disable-deadline", "--derandomize", "--max-examples", EXAMPLES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    # The suite's own settings: of the list's folder pytest would take ours.
    files = ["-c", "pytest.ini", "array_api_tests", "--xfails-file", str(XFAILS)]
    run = subprocess.run(
        [*command, *files],
        cwd=SUITE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


def test_every_expected_failure_has_its_reason() -> None:
    for block in XFAILS.read_text(encoding="utf-8").strip().split("\n\n"):
        first, *others = block.splitlines()
        assert first.startswith("# ") and others, block
        for line in others:
            assert line.startswith(("# ", "array_api_tests/test_")), line
