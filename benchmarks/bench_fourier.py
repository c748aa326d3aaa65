"""Fourier transforms, transpositions and concatenations: of good lengths and primes."""

from __future__ import annotations

import numpy
from works import Work, normal


def along_last(label, inputs, name, waits=True):
    """A function of `fft`, along the last axes."""

    def in_torch(tools, x):
        data, call = tools.tensor(x), getattr(tools.torch.fft, name)
        return lambda: [call(data)]

    return Work(
        label,
        inputs,
        lambda fw: getattr(fw.numpy.fft, name),
        torch=in_torch,
        numpy=lambda x: [getattr(numpy.fft, name)(x)],
        waits=waits,
    )


def filtered(fw):
    """There, times a filter, and back; and the gradient of its square."""

    def call(x, kernel):
        def smooth(x):
            np = fw.numpy
            return np.sum(np.fft.irfft(np.fft.rfft(x) * kernel) ** 2)

        return fw.grad(smooth)(x)

    return call


def joined(label, shapes, axis, dtype=numpy.float32):
    """Arrays one behind the other."""

    def inputs(rng):
        return tuple((normal(rng, *shape) * 20).astype(dtype) for shape in shapes)

    def in_torch(tools, *arrays):
        tensors = [tools.tensor(x) for x in arrays]
        return lambda: [tools.torch.cat(tensors, axis)]

    return Work(
        label,
        inputs,
        lambda fw: lambda *xs: fw.numpy.concatenate(xs, axis),
        torch=in_torch,
        numpy=lambda *xs: [numpy.concatenate(xs, axis)],
    )


def permuted(label, inputs, *order):
    """Axes in another order, in memory."""

    def in_torch(tools, x):
        data = tools.tensor(x)
        return lambda: [data.permute(order).contiguous()]

    return Work(
        label,
        inputs,
        lambda fw: lambda x: fw.numpy.transpose(x, order),
        torch=in_torch,
        numpy=lambda x: [numpy.ascontiguousarray(x.transpose(order))],
    )


def reals(*shape):
    return lambda rng: (normal(rng, *shape),)


def complexes(*shape):
    return lambda rng: ((normal(rng, *shape) + 1j * normal(rng, *shape)).astype(numpy.complex64),)


def bytes_of(*shape):
    return lambda rng: ((normal(rng, *shape) * 20).astype(numpy.int8),)


def shorts(*shape):
    return lambda rng: ((normal(rng, *shape) * 100).astype(numpy.int16),)


def signal_and_filter(rng):
    return normal(rng, 256, 1024), normal(rng, 513)


WORKS = [
    along_last("fft 1000", complexes(1000), "fft", waits=False),
    along_last("fft 1021, a prime", complexes(1021), "fft", waits=False),
    along_last("fft 1e6", complexes(1_000_000), "fft"),
    along_last("fft 100003, a prime", complexes(100_003), "fft"),
    along_last("rfft 1e5", reals(100_000), "rfft"),
    along_last("fft, 20000 rows of 16", complexes(20_000, 16), "fft"),
    along_last("fft, 256 rows of 1000", complexes(256, 1000), "fft"),
    along_last("fft, 2500 rows of 127", complexes(2500, 127), "fft"),
    along_last("rfft, 256 rows of 1024", reals(256, 1024), "rfft"),
    along_last("fft2 512x512", complexes(512, 512), "fft2"),
    along_last("rfft2 512x512", reals(512, 512), "rfft2"),
    along_last("fftn 64x64x64", complexes(64, 64, 64), "fftn"),
    Work("gradient of a filter, 256 rows", signal_and_filter, filtered),
    permuted("transpose 2048x2048", reals(2048, 2048), 1, 0),
    permuted("transpose 2048x2048, int16", shorts(2048, 2048), 1, 0),
    permuted("transpose 2048x2048, int8", bytes_of(2048, 2048), 1, 0),
    permuted("transpose 1001x1503", reals(1001, 1503), 1, 0),
    permuted("transpose 16x3x224x224 (0, 2, 3, 1)", reals(16, 3, 224, 224), 0, 2, 3, 1),
    joined("concatenate 8 of 1e6", [(1_000_000,)] * 8, 0),
    joined("concatenate 4 of 2048x2048, axis 1, int8", [(2048, 2048)] * 4, 1, numpy.int8),
    joined("concatenate 1000 x (7, 33, 1, 500), axis 1", [(1000, n) for n in (7, 33, 1, 500)], 1),
]
