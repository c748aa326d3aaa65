"""What programs do to arrays all the time, each alone: folds, order, places, movement."""

from __future__ import annotations

import numpy
from array_works import floats, in_order, integers, parts, some, together, whole, work

SQUARE, FLAT = (1024, 1024), (1_000_000,)


def running_maximum(fw, x):
    return fw.lax.associative_scan(fw.numpy.maximum, x, axis=1)


def recurrence(fw, a, b):
    def join(left, right):
        return left[0] * right[0], left[1] * right[0] + right[1]

    return fw.lax.associative_scan(join, (a, b), axis=0)[1]


def sized(np, **options):
    """Options of ours and JAX's, which NumPy does not have."""
    return {} if np is numpy else options


def places_of(np, x):
    return np.nonzero(x, **sized(np, size=10_400, fill_value=0))[0][:9000]


def taken(np, x, i):
    return np.take_along_axis(x, i, axis=1)


def log_sum_exp(np, x):
    top = np.max(x, axis=0)
    return np.log(np.sum(np.exp(x - top), axis=0)) + top


def reflected(t, x):
    return t.nn.functional.pad(x[None], (3, 3, 3, 3), mode="reflect")[0]


def scattered(rng):
    places = rng.permutation(1_000_000)[:100_000].astype(numpy.int32)
    return (*floats(FLAT)(rng), places, *floats((100_000,))(rng))


RUNNING = [
    work(
        "cumsum of 1024x1024, axis 0",
        floats(SQUARE),
        lambda np, x: np.cumsum(x, 0),
        lambda t, x: t.cumsum(x, 0),
    ),
    work(
        "cumsum of 1024x1024, axis 1",
        floats(SQUARE),
        lambda np, x: np.cumsum(x, 1),
        lambda t, x: t.cumsum(x, 1),
    ),
    work(
        "cumprod of 1024x1024, axis 1",
        parts(*SQUARE),
        lambda np, x: np.cumprod(x, 1),
        lambda t, x: t.cumprod(x, 1),
    ),
    whole(
        "running maximum, 1000x1000",
        floats((1000, 1000)),
        running_maximum,
        lambda t, x: t.cummax(x, 1).values,
    ),
    whole(
        "linear recurrence by associative_scan, 1024x256",
        together(parts(1024, 256), parts(1024, 256)),
        recurrence,
    ),
]
ORDER = [
    work(
        "sort of 1024x1024, axis 0",
        floats(SQUARE),
        lambda np, x: np.sort(x, axis=0),
        lambda t, x: t.sort(x, 0).values,
    ),
    work(
        "median of 1000x1001, axis 1",
        floats((1000, 1001)),
        lambda np, x: np.median(x, axis=1),
        lambda t, x: t.median(x, 1).values,
    ),
    work(
        "quantiles of 1e5",
        floats((100_000,)),
        lambda np, x: np.quantile(x, np.asarray([0.1, 0.5, 0.9], np.float32)),
        lambda t, x: t.quantile(x, t.tensor([0.1, 0.5, 0.9])),
    ),
    work(
        "searchsorted, 1e6 in 1000",
        together(parts(1_000_000), in_order(1000)),
        lambda np, x, a: np.searchsorted(a, x),
        lambda t, x, a: t.searchsorted(a, x),
    ),
    work(
        "histogram of 1e6 in 50",
        parts(1_000_000),
        lambda np, x: np.histogram(x, 50, (0.0, 1.0))[0],
        lambda t, x: t.histc(x, 50, 0, 1),
    ),
    work(
        "bincount of 1e6 in 256",
        integers(1_000_000, below=256),
        lambda np, x: np.bincount(x, **sized(np, length=256)),
        lambda t, x: t.bincount(x),
    ),
    whole(
        "top 10 of 1000x10000",
        floats((1000, 10_000)),
        lambda fw, x: fw.lax.top_k(x, 10),
        lambda t, x: list(t.topk(x, 10)),
    ),
]
PLACES = [
    whole(
        "one-hot of 10000 in 100",
        integers(10_000, below=100),
        lambda fw, i: fw.nn.one_hot(i, 100),
        lambda t, i: t.nn.functional.one_hot(i, 100).float(),
    ),
    work(
        "take_along_axis, 1024x1024",
        together(floats(SQUARE), integers(*SQUARE, below=1024)),
        taken,
        lambda t, x, i: t.take_along_dim(x, i, 1),
    ),
    work(
        "columns by number, 512 of 1000x1000",
        together(floats((1000, 1000)), integers(512, below=1000)),
        lambda np, x, i: x[:, i],
        lambda t, x, i: x[:, i],
    ),
    whole(
        "add 1e5 rows of 16 to 1000",
        together(floats((1000, 16)), integers(100_000, below=1000), floats((100_000, 16))),
        lambda fw, b, i, x: b.at[i].add(x),
        lambda t, b, i, x: b.index_add(0, i, x),
    ),
    whole(
        "set 1e5 of 1e6",
        scattered,
        lambda fw, b, i, x: b.at[i].set(x),
        lambda t, b, i, x: b.index_copy(0, i, x),
    ),
    whole(
        "segment_max 1e6 to 1000",
        together(floats(FLAT), integers(1_000_000, below=1000)),
        lambda fw, x, i: fw.ops.segment_max(x, i, 1000),
        lambda t, x, i: t.full((1000,), -numpy.inf).scatter_reduce(0, i, x, "amax"),
    ),
    work(
        "nonzero with a size, 1e6",
        some(*FLAT, part=0.01),
        places_of,
        lambda t, x: t.nonzero(x)[:9000, 0],
    ),
    work(
        "where and clip, 1e6",
        floats(FLAT, FLAT),
        lambda np, x, y: np.where(x > y, np.clip(x, -1, 1), y * 2),
        lambda t, x, y: t.where(x > y, t.clip(x, -1, 1), y * 2),
    ),
]
FOLDS = [
    work(
        "any of 1024x1024, axis 0",
        some(*SQUARE, part=0.0001),
        lambda np, x: np.any(x, axis=0),
        lambda t, x: t.any(x, 0),
    ),
    work(
        "count above, 1024x1024, axis 1",
        floats(SQUARE),
        lambda np, x: np.sum(x > 0, axis=1),
        lambda t, x: t.sum(x > 0, 1),
    ),
    work(
        "argmax of 1024x1024, axis 0",
        floats(SQUARE),
        lambda np, x: np.argmax(x, axis=0),
        lambda t, x: t.argmax(x, 0),
    ),
    work(
        "argmax of 10000x10",
        floats((10_000, 10)),
        lambda np, x: np.argmax(x, axis=1),
        lambda t, x: t.argmax(x, 1),
    ),
    work(
        "log-sum-exp of 1024x1024, axis 0",
        floats(SQUARE),
        log_sum_exp,
        lambda t, x: t.logsumexp(x, 0),
    ),
    work(
        "deviation of 1e6",
        floats(FLAT),
        lambda np, x: np.std(x),
        lambda t, x: t.std(x, correction=0),
    ),
    work(
        "mean of 8x256x256x3, axes 1 and 2",
        floats((8, 256, 256, 3)),
        lambda np, x: np.mean(x, axis=(1, 2)),
        lambda t, x: t.mean(x, (1, 2)),
    ),
    work(
        "norm of 100000x3",
        floats((100_000, 3)),
        lambda np, x: np.linalg.norm(x, axis=1),
        lambda t, x: t.linalg.norm(x, dim=1),
    ),
    work(
        "maximum of 100x100x100, axis 1",
        floats((100, 100, 100)),
        lambda np, x: np.max(x, axis=1),
        lambda t, x: t.amax(x, 1),
    ),
    work(
        "maximum of bytes along rows, 2048x2048",
        integers(2048, 2048, below=256, dtype=numpy.uint8),
        lambda np, x: np.max(x, axis=1),
        lambda t, x: t.amax(x, 1),
    ),
]
MOVEMENT = [
    work(
        "pad 1000x1000 by reflection",
        floats((1000, 1000)),
        lambda np, x: np.pad(x, 3, mode="reflect"),
        reflected,
    ),
    work(
        "roll 1024x1024, both axes",
        floats(SQUARE),
        lambda np, x: np.roll(x, (3, 5), (0, 1)),
        lambda t, x: t.roll(x, (3, 5), (0, 1)),
    ),
    work(
        "flip 1024x1024, axis 1",
        floats(SQUARE),
        lambda np, x: np.flip(x, 1).copy(),
        lambda t, x: t.flip(x, (1,)),
    ),
    work(
        "transpose 32x32x128x64 (0, 2, 1, 3)",
        floats((32, 32, 128, 64)),
        lambda np, x: np.transpose(x, (0, 2, 1, 3)).copy(),
        lambda t, x: x.permute(0, 2, 1, 3).contiguous(),
    ),
    work(
        "transpose 100x80x120 (2, 0, 1)",
        floats((100, 80, 120)),
        lambda np, x: np.transpose(x, (2, 0, 1)).copy(),
        lambda t, x: x.permute(2, 0, 1).contiguous(),
    ),
    work(
        "stack of 4 of 1e5, last",
        floats(*[(100_000,)] * 4),
        lambda np, *x: np.stack(x, -1),
        lambda t, *x: t.stack(x, -1),
    ),
    work(
        "repeat 1000x100, 8 times, axis 1",
        floats((1000, 100)),
        lambda np, x: np.repeat(x, 8, axis=1),
        lambda t, x: t.repeat_interleave(x, 8, 1),
    ),
    work(
        "lower triangle of 1024x1024",
        floats(SQUARE),
        lambda np, x: np.tril(x),
        lambda t, x: t.tril(x),
    ),
]
WORKS = [*RUNNING, *ORDER, *PLACES, *FOLDS, *MOVEMENT]
