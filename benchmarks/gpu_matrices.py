"""Factors of matrices, systems and Fourier transforms, for what is timed on a GPU.

In: whether in full. Out: `Work`s. The one idea: one text for ours and JAX, PyTorch's beside it.
"""

from __future__ import annotations

from functools import partial

import numpy as np


def normal(*shape):
    """Normal numbers."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def definite(n):
    """A positive definite matrix."""
    x = normal(n, n)
    return x @ x.T / n + np.eye(n, dtype=np.float32)


def in_torch(name, tools, *args):
    """The function of `torch.linalg` or `torch.fft` of this name."""
    where, _, what = name.partition(".")
    tensors = [tools.tensor(x) for x in args]
    function = getattr(getattr(tools.torch, where), what)
    return lambda: function(*tensors)


def ours(name):
    """The same function of ours, and of JAX."""
    where, _, what = name.partition(".")
    return lambda lib: getattr(getattr(lib.np, where), what)


def matrices(work, full):
    """Works by name, function and operands.

    Args:
        work: makes one, as `gpu_works.Work`.
    """
    found = []
    for n in (2048, 4096) if full else (6,):
        cube = n**3
        found += [
            (f"Cholesky factor of {n}", "linalg.cholesky", partial(_one, definite, n), cube / 3),
            (f"system of {n}", "linalg.solve", partial(_system, n), 2 * cube / 3),
            (f"inverse of {n}", "linalg.inv", partial(_one, definite, n), 2 * cube),
        ]
    count, n = (10_000, 16) if full else (3, 4)
    batch = partial(_batch, count, n)
    for shape, what in (
        [((4096, 1024), "fft"), ((4096, 4096), "fft"), ((4096, 4096), "rfft"), ((1 << 20,), "fft"),
         ((4096, 4096), "fft2"), ((256, 256, 256), "fftn"), ((4036, 1009), "fft")]
        if full else [((3, 8), "fft"), ((4, 6), "fft2")]
    ):  # fmt: skip
        size = np.prod(shape, dtype=np.int64)
        flops = 5 * size * np.log2(size if what in ("fft2", "fftn") else shape[-1])
        name = f"{what} of {' × '.join(map(str, shape))}"
        found.append((name, f"fft.{what}", partial(_signal, shape, what != "rfft"), flops))
    found.append((f"systems of {n}, {count:,}", "linalg.solve", batch, 2 * count * n**3 / 3))
    return [
        work(name, ours(what), args, flops=int(flops), torch=partial(in_torch, what))
        for name, what, args, flops in found
    ]


def _signal(shape, whole):
    x = normal(*shape)
    return [(x + 1j * x[..., ::-1]).astype(np.complex64) if whole else x]


def _one(make, n):
    return [make(n)]


def _system(n):
    return [normal(n, n), normal(n, 1)]


def _batch(count, n):
    return [normal(count, n, n) + 4 * np.eye(n, dtype=np.float32), normal(count, n, 1)]
