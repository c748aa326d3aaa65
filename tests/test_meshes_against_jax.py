"""shard_map and pmap on four CPU devices, here and in JAX."""

import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest

import funcgrad as fg

from . import mesh_programs


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The results of JAX, which must be told of its devices before it starts."""
    if util.find_spec("jax") is None:
        pytest.skip("a differential test needs the peer: funcgrad[bench]")
    path = tmp_path_factory.mktemp("meshes") / "jax.npz"
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    script = [sys.executable, str(Path(mesh_programs.__file__)), str(path)]
    done = subprocess.run(script, env={**os.environ, **flags}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(path)


@pytest.mark.slow
def test_programs_give_what_jax_gives(theirs, cpus):
    cpus(4)
    found = dict(mesh_programs.programs(fg, fg.numpy))
    assert sorted(found) == sorted(theirs)
    for name, value in found.items():
        want = theirs[name]
        assert value.shape == want.shape and value.dtype == want.dtype, name
        np.testing.assert_allclose(value, want, rtol=2e-5, atol=1e-6, err_msg=name)
