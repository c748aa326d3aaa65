"""What tests of compiled programs share."""

from collections.abc import Iterator

import pytest

import funcgrad as fg
from funcgrad.kernels import warm


@pytest.fixture
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are lowered anew: what is stored may be of another lowering."""
    monkeypatch.setattr(warm, "_key", lambda closed: (None, None))


@pytest.fixture(params=["fast", "source", "python"])
def lowering(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of the ways in which jitted programs run."""
    fg.config.update("lowering", request.param)
    yield request.param
    fg.config.update("lowering", "fast")
