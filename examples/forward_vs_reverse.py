"""Forward and reverse mode step by step, and which of them is faster for which Jacobian.

Run: python examples/forward_vs_reverse.py [--output demo-output]

y = ln x₁ + x₁x₂ − sin x₂ at (2, 5), eqn by eqn of its jaxpr: forward mode carries with each value
its derivative by one input (the tangent), reverse mode goes back with the derivative of y by each
value (the adjoint). One pass forward gives a column of a Jacobian, one pass back gives a row. So
for f: Rⁿ → Rᵐ jacfwd takes n passes and jacrev m: their times are measured over n / m. A picture
is written at the end.
"""

from __future__ import annotations

import argparse
import string
import time
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp

POINT = (2.0, 5.0)
HIDDEN = 128
SHAPES = tuple((2**k, 2 ** (12 - k)) for k in range(1, 12))


def y(x1, x2):
    """ln x₁ + x₁x₂ − sin x₂."""
    return fnp.log(x1) + x1 * x2 - fnp.sin(x2)


def step_of(eqn):
    """The function that an eqn applies."""
    return lambda *operands: eqn.primitive.bind(*operands, **eqn.params)


def forward(jaxpr, point, direction):
    """Rows (name, text, value, tangent) of the inputs and of each eqn."""
    names = dict(zip(jaxpr.invars, string.ascii_lowercase, strict=False))
    values = dict(zip(jaxpr.invars, point, strict=True))
    tangents = dict(zip(jaxpr.invars, direction, strict=True))
    rows = [(names[var], "", values[var], tangents[var]) for var in jaxpr.invars]
    for eqn in jaxpr.eqns:
        (out,) = eqn.outvars
        names[out] = string.ascii_lowercase[len(names)]
        primals = [values[var] for var in eqn.invars]
        moved = [tangents[var] for var in eqn.invars]
        values[out], tangents[out] = fg.jvp(step_of(eqn), primals, moved)
        text = " ".join([eqn.primitive.name, *(names[var] for var in eqn.invars)])
        rows.append((names[out], text, values[out], tangents[out]))
    return rows, names, values


def backward(jaxpr, names, values):
    """Rows (name, adjoint, what each eqn adds to it) from the output to the inputs."""
    adjoints = dict.fromkeys(names, 0.0)
    shares = {var: [] for var in names}
    adjoints[jaxpr.outvars[0]] = 1.0
    for eqn in reversed(jaxpr.eqns):
        (out,) = eqn.outvars
        _, pull = fg.vjp(step_of(eqn), *(values[var] for var in eqn.invars))
        for var, share in zip(eqn.invars, pull(adjoints[out]), strict=True):
            adjoints[var] += share
            shares[var].append(f"{float(share):.4f} through {names[out]}")
    return [(names[var], adjoints[var], " + ".join(shares[var])) for var in reversed(names)]


def trace():
    """Print the jaxpr and both tables; return the two gradients."""
    jaxpr = fg.make_jaxpr(y)(*POINT)
    print(jaxpr)
    forwards = []
    for direction, name in (((1.0, 0.0), "x₁"), ((0.0, 1.0), "x₂")):
        rows, names, values = forward(jaxpr.jaxpr, POINT, direction)
        print(f"\nforward by {name}\n{'':3}{'eqn':10}{'value':>10}{'tangent':>10}")
        for own, text, value, tangent in rows:
            print(f"{own:3}{text:10}{float(value):10.4f}{float(tangent):10.4f}")
        forwards.append(float(rows[-1][3]))
    found = backward(jaxpr.jaxpr, names, values)
    print(f"\nbackward\n{'':3}{'adjoint':>10}   sum of")
    for own, adjoint, text in found:
        print(f"{own:3}{float(adjoint):10.4f}   {text}")
    adjoints = {own: float(adjoint) for own, adjoint, _ in found}
    return forwards, [adjoints["a"], adjoints["b"]]


def seconds(f, *args):
    """The shortest of some calls, the first left out: it compiles."""
    f(*args)
    times = []
    while len(times) < 5 or (sum(times) < 0.05 and len(times) < 1000):
        start = time.perf_counter()
        np.asarray(f(*args))
        times.append(time.perf_counter() - start)
    return min(times)


def race(shapes):
    """Rows (n, m, seconds of jacfwd, seconds of jacrev) for a net of one hidden layer."""
    rows = []
    rng = np.random.default_rng(0)
    for n, m in shapes:
        x = rng.normal(size=n).astype(np.float32)
        first = rng.normal(size=(n, HIDDEN)).astype(np.float32) / np.sqrt(np.float32(n))
        last = rng.normal(size=(HIDDEN, m)).astype(np.float32)

        def net(x, first, last):
            return fnp.tanh(x @ first) @ last

        both = [fg.jit(jacobian(net)) for jacobian in (fg.jacfwd, fg.jacrev)]
        np.testing.assert_allclose(*(f(x, first, last) for f in both), rtol=1e-3, atol=1e-4)
        rows.append((n, m, *(seconds(f, x, first, last) for f in both)))
    return rows


def crossing(rows):
    """n / m where both take the same time, by interpolation; where they cross first."""
    ratio = np.log([n / m for n, m, *_ in rows])
    lead = np.log([ahead / back for *_, ahead, back in rows])
    after = int(np.flatnonzero(lead > 0)[0])
    if after == 0:
        return float(np.exp(ratio[0]))
    share = -lead[after - 1] / (lead[after] - lead[after - 1])
    return float(np.exp(ratio[after - 1] + share * (ratio[after] - ratio[after - 1])))


def draw(file, rows, at):
    """Both times over n / m."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    ratio = [n / m for n, m, *_ in rows]
    for name, times in zip(("jacfwd", "jacrev"), list(zip(*rows, strict=True))[2:], strict=True):
        axes.loglog(ratio, np.array(times) * 1e3, "o-", label=name)
    axes.axvline(at, color="0.6", linestyle=":")
    axes.set(xlabel="n / m", ylabel="ms", title=f"Jacobian of Rⁿ → Rᵐ: they cross at {at:.2g}")
    axes.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(output, shapes=SHAPES):
    """Print the tables, write the picture; return gradients, times and the crossing."""
    output.mkdir(parents=True, exist_ok=True)
    with fg.enable_x64(True):
        by_tangents, by_adjoints = trace()
    rows = race(shapes)
    at = crossing(rows)
    print(f"\n{'n':>6}{'m':>6}{'jacfwd ms':>12}{'jacrev ms':>12}")
    for n, m, ahead, back in rows:
        print(f"{n:6}{m:6}{ahead * 1e3:12.3f}{back * 1e3:12.3f}")
    draw(output / "forward_vs_reverse.png", rows, at)
    print(f"they cross at n / m = {at:.2g}; picture: {output / 'forward_vs_reverse.png'}")
    return by_tangents, by_adjoints, rows, at


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    main(parser.parse_args().output)
