"""Tests keep what they compile in a directory of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from funcgrad.config import config


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before, place = config.cache_dir, tmp_path_factory.mktemp("cache")
    config.update("cache_dir", place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "FUNCGRAD_CACHE_DIR", str(place))
        yield place
    config.update("cache_dir", before)
