"""What checkpointing saves: the memory of a deep network's gradient, by segments computed again.

Run: python examples/checkpointing.py [--output demo-output]

Reverse mode keeps what it needs of each of N layers: memory in proportion to N. Cut into √N
segments of √N layers it keeps the input of each segment, and while it goes back through one of them
what it needs of the layers of that one: in proportion to √N, for one more run of the layers. The
memory is that of the compiled program's plan (memory_analysis), besides its arguments and results.
A table is printed and a picture written.
Source: Chen et al., arXiv:1604.06174.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

BATCH, WIDTH = 2048, 32
ARRAY = BATCH * WIDTH * 4
DEPTHS = (4, 16, 64, 144)


def through(x, weights):
    """What the layers, weights f32[n, width, width], make of x one after another."""
    return lax.scan(lambda x, weight: (fnp.tanh(x @ weight), None), x, weights)[0]


def gradient(segments):
    """The jitted gradient of the network in so many segments; None keeps everything."""

    def loss(weights, x):
        if segments is None:
            return fnp.mean(fnp.square(through(x, weights)))
        parts = weights.reshape(segments, -1, WIDTH, WIDTH)
        part = fg.checkpoint(through)
        return fnp.mean(fnp.square(lax.scan(lambda x, own: (part(x, own), None), x, parts)[0]))

    return fg.jit(fg.grad(loss))


def make_inputs(depth):
    """Weights f32[depth, width, width] and a batch f32[batch, width]."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, WIDTH**-0.5, (depth, WIDTH, WIDTH))
    return weights.astype(np.float32), rng.normal(size=(BATCH, WIDTH)).astype(np.float32)


def measure(depth, segments):
    """Memory in arrays f32[batch, width], seconds of a call, and the gradient."""
    inputs = make_inputs(depth)
    compiled = gradient(segments).lower(*inputs).compile()
    memory = compiled.memory_analysis().temp_size_in_bytes / ARRAY
    found = np.asarray(compiled(*inputs))
    start = time.perf_counter()
    np.asarray(compiled(*inputs))
    return memory, time.perf_counter() - start, found


def by_depth(depths):
    """Rows (N, memory and seconds without, memory and seconds with √N segments)."""
    rows = []
    for depth in depths:
        whole, long, kept = measure(depth, None)
        less, longer, again = measure(depth, math.isqrt(depth))
        np.testing.assert_allclose(again, kept, rtol=1e-4, atol=1e-7)
        rows.append((depth, whole, long, less, longer))
    return rows


def by_segments(depth):
    """Memory for each number of segments that divides the layers."""
    return {k: measure(depth, k)[0] for k in range(1, depth + 1) if depth % k == 0}


def draw(file, rows, depth, memories):
    """Memory over depth on the left, over segments on the right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    depths = [row[0] for row in rows]
    left.loglog(depths, [row[1] for row in rows], "o-", label="all kept")
    left.loglog(depths, [row[3] for row in rows], "o-", label="√N segments")
    left.set(xlabel="layers", ylabel="arrays f32[batch, width]", title="memory of the gradient")
    left.legend()
    right.semilogx(list(memories), list(memories.values()), "o-", base=2)
    right.axvline(math.sqrt(depth), color="0.6", linestyle=":")
    right.set(xlabel="segments", title=f"{depth} layers; dotted: √{depth}")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(output, depths=DEPTHS, depth=64):
    """Print the table, write the picture; return both measurements."""
    output.mkdir(parents=True, exist_ok=True)
    rows = by_depth(depths)
    print(f"{'':8}{'all kept':>20}{'√N segments':>20}")
    print(f"{'layers':>8}{'arrays':>10}{'ms':>10}{'arrays':>10}{'ms':>10}")
    for n, whole, long, less, longer in rows:
        print(f"{n:8}{whole:10.1f}{long * 1e3:10.1f}{less:10.1f}{longer * 1e3:10.1f}")
    memories = by_segments(depth)
    print(f"\n{depth} layers in segments")
    for k, memory in memories.items():
        print(f"{k:8}{memory:10.1f} arrays")
    draw(output / "checkpointing.png", rows, depth, memories)
    print(f"picture: {output / 'checkpointing.png'}")
    return rows, memories


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    main(parser.parse_args().output)
