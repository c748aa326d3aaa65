"""Loops inside the program: Lorenz' equations, gravity, Mandelbrot's set."""

from __future__ import annotations

import numpy
from works import Work, normal

# Lorenz' equations by Runge and Kutta's method of fourth order; short times, for they are chaotic
# and results must agree. The state is an array of three numbers, or three scalars.


def lorenz(state, parameters):
    x, y, z = state
    sigma, rho, beta = parameters
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def by_arrays(fw):
    """A step of the array of three numbers, with an array of parameters."""

    def slope(state, parameters):
        return fw.numpy.stack(lorenz(state, parameters))

    def step(state, h, parameters):
        k1 = slope(state, parameters)
        k2 = slope(state + h / 2 * k1, parameters)
        k3 = slope(state + h / 2 * k2, parameters)
        k4 = slope(state + h * k3, parameters)
        return state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return step


def by_scalars(fw):
    """A step of three scalars, with three parameters."""

    def moved(state, h, slope):
        return tuple(a + h * b for a, b in zip(state, slope, strict=True))

    def step(state, h, parameters):
        k1 = lorenz(state, parameters)
        k2 = lorenz(moved(state, h / 2, k1), parameters)
        k3 = lorenz(moved(state, h / 2, k2), parameters)
        k4 = lorenz(moved(state, h, k3), parameters)
        slopes = zip(k1, k2, k3, k4, strict=True)
        return moved(state, h / 6, tuple(a + 2 * b + 2 * c + d for a, b, c, d in slopes))

    return step


def trajectory(fw, stepper, steps, h):
    step = stepper(fw)

    def end(state, parameters):
        return fw.lax.fori_loop(0, steps, lambda i, s: step(s, h, parameters), state)

    return end


def gradient(fw, stepper, steps, h):
    """The gradient of |end|² with respect to the start and the parameters."""

    def value(state, parameters):
        return sum(a * a for a in trajectory(fw, stepper, steps, h)(state, parameters))

    return fw.value_and_grad(value, argnums=(0, 1))


def lorenz_works(words, stepper, goals=(None, None)):
    def inputs(rng):
        found = numpy.float32([1, 2, 20]), numpy.float32([10, 28, 8 / 3])
        return found if stepper is by_arrays else tuple(map(tuple, found))

    name = f"Lorenz by Runge-Kutta, {words}"
    return [
        Work(
            f"{name}, 1e5 steps",
            inputs,
            lambda fw: trajectory(fw, stepper, 100_000, 2e-5),
            goal=goals[0],
            tolerance=1e-2,
        ),
        Work(
            f"{name}, 1e4 steps with gradient",
            inputs,
            lambda fw: gradient(fw, stepper, 10_000, 1e-4),
            goal=goals[1],
            tolerance=1e-2,
        ),
    ]


# Gravity of n bodies by leapfrog.


def accelerations(np, x, mass):
    d = x[None] - x[:, None]
    squares = np.sum(d * d, -1) + 1e-2
    return np.sum(d * (mass / (squares * np.sqrt(squares)))[:, :, None], 1)


def bodies(fw, steps, h=0.01):
    def end(x, v, mass):
        def step(i, state):
            x, v, a = state
            v = v + h / 2 * a
            x = x + h * v
            a = accelerations(fw.numpy, x, mass)
            return x, v + h / 2 * a, a

        start = (x, v, accelerations(fw.numpy, x, mass))
        return fw.lax.fori_loop(0, steps, step, start)[:2]

    return end


def bodies_numpy(steps):
    h = numpy.float32(0.01)

    def end(x, v, mass):
        a = accelerations(numpy, x, mass)
        for _ in range(steps):
            v = v + h / 2 * a
            x = x + h * v
            a = accelerations(numpy, x, mass)
            v = v + h / 2 * a
        return x, v

    return end


def bodies_torch(steps, h=0.01):
    def version(tools, *arguments):
        torch = tools.torch
        given = [tools.tensor(a) for a in arguments]

        def call():
            x, v, mass = given
            a = accelerations(torch, x, mass)
            for _ in range(steps):
                v = v + h / 2 * a
                x = x + h * v
                a = accelerations(torch, x, mass)
                v = v + h / 2 * a
            return x, v

        return call

    return version


def bodies_work(name, count, steps, goal=None, smooth=None):
    def inputs(rng):
        mass = numpy.full(count, 1 / count, numpy.float32)
        return normal(rng, count, 3), normal(rng, count, 3, scale=0.1), mass

    return Work(
        name,
        inputs,
        lambda fw: bodies(fw, steps),
        goal=goal,
        torch=bodies_torch(steps),
        numpy=bodies_numpy(steps),
        amount=steps * count**2,
        smooth=smooth,
        tolerance=3e-3,
    )


# Mandelbrot's set: how many of the steps stay in the circle of radius 2.


def mandelbrot(fw, steps):
    np = fw.numpy

    def counts(a, b):
        def step(i, state):
            x, y, count = state
            inside = x * x + y * y <= 4
            x, y = np.where(inside, x * x - y * y + a, x), np.where(inside, 2 * x * y + b, y)
            return x, y, count + inside

        zeros = np.zeros(a.shape, np.float32)
        return fw.lax.fori_loop(0, steps, step, (zeros, zeros, np.zeros(a.shape, np.int32)))[2]

    return counts


def mandelbrot_numpy(steps):
    def counts(a, b):
        x, y, count = numpy.zeros_like(a), numpy.zeros_like(a), numpy.zeros(a.shape, numpy.int32)
        for _ in range(steps):
            inside = x * x + y * y <= 4
            x, y = (
                numpy.where(inside, x * x - y * y + a, x),
                numpy.where(inside, 2 * x * y + b, y),
            )
            count += inside
        return [numpy.mean(count)]

    return counts


def mandelbrot_torch(steps):
    def version(tools, a, b):
        torch, a, b = tools.torch, tools.tensor(a), tools.tensor(b)

        def call():
            x, y = torch.zeros_like(a), torch.zeros_like(a)
            count = torch.zeros_like(a, dtype=torch.int32)
            for _ in range(steps):
                inside = x * x + y * y <= 4
                x, y = (
                    torch.where(inside, x * x - y * y + a, x),
                    torch.where(inside, 2 * x * y + b, y),
                )
                count += inside
            return [count.float().mean()]

        return call

    return version


def mandelbrot_work(name, side, steps=200, goal=None, smooth=None):
    def inputs(rng):
        a, b = numpy.meshgrid(numpy.linspace(-2, 0.6, side), numpy.linspace(-1.3, 1.3, side))
        return a.astype(numpy.float32), b.astype(numpy.float32)

    return Work(
        name,
        inputs,
        lambda fw: mandelbrot(fw, steps),
        goal=goal,
        torch=mandelbrot_torch(steps),
        numpy=mandelbrot_numpy(steps),
        # Points at the edge of the set may leave it a step earlier or later.
        checked=lambda inputs, out: [numpy.mean(out)],
        amount=side**2,
        smooth=smooth,
    )


BODIES = "gravity of 512 bodies, 20 steps"
MANDELBROT = "Mandelbrot 512², at most 200 steps"
WORKS = [
    *lorenz_works("an array of 3", by_arrays, (0.8, 0.05)),
    *lorenz_works("3 scalars", by_scalars),
    bodies_work(BODIES, 512, 20, goal=0.1),
    bodies_work("gravity of 509 bodies, 20 steps", 509, 20, smooth=BODIES),
    mandelbrot_work(MANDELBROT, 512, goal=0.4),
    mandelbrot_work("Mandelbrot 509², at most 200 steps", 509, smooth=MANDELBROT),
]
