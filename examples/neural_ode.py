"""A neural ODE: a network that learns the law by which a curve moves.

Run: python examples/neural_ode.py [--steps 600] [--output demo-output]

The curve is that of a damped pendulum, dθ/dt = ω and dω/dt = −sin θ − 0.1 ω, from θ = 2.5. A
network f with dy/dt = f(y) for y = (θ, ω) is trained on short pieces of it: odeint solves the
equation, and its gradient comes from the adjoint equation, solved backwards. Then the whole curve
is computed from its first point alone. First the adjoint is checked on dy/dt = −k y, whose
derivatives are known. A table is printed and a picture written.
Source: Chen et al., arXiv:1806.07366.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, optim
from funcgrad.experimental.ode import odeint

START = np.array([2.5, 0.0], np.float32)
TIMES = np.linspace(0, 20, 201, dtype=np.float32)
PIECE, BATCH = 10, 32
network = nn.serial(nn.dense(50), nn.tanh, nn.dense(2))


def pendulum(y, t):
    """(ω, −sin θ − 0.1 ω) for y = (θ, ω)."""
    return fnp.stack([y[1], -fnp.sin(y[0]) - 0.1 * y[1]])


def learned(y, t, params):
    """dy/dt as the network has it."""
    return network.apply(params, [()] * 3, y)[0]


def check_adjoint(rate=0.7, start=2.0, end=3.0):
    """The largest difference of y(end) and its derivatives from the formulas, for dy/dt = −k y."""

    def last(y, k, end):
        return odeint(lambda y, t, k: -k * y, y, fnp.stack([0.0, end]), k)[-1]

    value, slopes = fg.value_and_grad(last, (0, 1, 2))(start, rate, end)
    y = start * np.exp(-rate * end)
    wanted = (y, y / start, -end * y, -rate * y)
    return max(abs(float(a) - b) for a, b in zip((value, *slopes), wanted, strict=True))


def train(curve, steps):
    """Params trained on pieces of the curve, and the losses."""
    params, _ = network.init(fg.random.key(0), fg.ShapeDtypeStruct((2,), np.float32))
    optimizer = optim.adam(optim.cosine_decay_schedule(0.01, steps))

    def loss(params, pieces):
        found = odeint(learned, pieces[0], TIMES[:PIECE], params, rtol=1e-5, atol=1e-5)
        return fnp.mean(fnp.abs(found - pieces))

    @fg.jit
    def step(params, memory, pieces):
        value, grads = fg.value_and_grad(loss)(params, pieces)
        updates, memory = optimizer.update(grads, memory, params)
        return optim.apply_updates(params, updates), memory, value

    memory, losses = optimizer.init(params), []
    rng = np.random.default_rng(0)
    for _ in range(steps):
        first = rng.integers(0, len(TIMES) - PIECE, BATCH)
        params, memory, value = step(params, memory, curve[first + np.arange(PIECE)[:, None]])
        losses.append(float(value))
    return params, losses


def draw(file, curve, found, losses):
    """Both curves in the plane, and the loss."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    left.plot(*curve.T, label="the pendulum")
    left.plot(*found.T, "--", label="learned, from its first point")
    left.set(xlabel="θ", ylabel="ω")
    left.legend()
    right.semilogy(losses)
    right.set(xlabel="step", title="loss on pieces")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(steps, output):
    """Check, train, print, write the picture; return the check's gap, losses and distance."""
    output.mkdir(parents=True, exist_ok=True)
    with fg.enable_x64(True):
        gap = check_adjoint()
    print(f"derivatives of y(3) for dy/dt = −0.7 y: {gap:.1e} from the formulas")
    curve = np.asarray(odeint(pendulum, START, TIMES))
    params, losses = train(curve, steps)
    found = np.asarray(fg.jit(lambda params: odeint(learned, START, TIMES, params))(params))
    distance = np.linalg.norm(found - curve, axis=-1)
    print(f"{'t':>6}{'the pendulum':>22}{'learned':>22}")
    for i in range(0, len(TIMES), 40):
        print(f"{TIMES[i]:6.1f}{curve[i].round(3)!s:>22}{found[i].round(3)!s:>22}")
    print(f"loss {losses[0]:.3f} to {losses[-1]:.4f}, mean distance {distance.mean():.3f}")
    draw(output / "neural_ode.png", curve, found, losses)
    print(f"picture: {output / 'neural_ode.png'}")
    return gap, losses, float(distance.mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    main(options.steps, options.output)
