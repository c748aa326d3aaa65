"""The contenders on a GPU: funcgrad, JAX, PyTorch eagerly and compiled, CuPy.

In: a `Work`. Out: a call that puts one run of it into the queue, and one that waits. All compute in
the same arithmetic: products of float32 are of all of float32 but where a work asks for TF32.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module

import gpu_steps as steps


class Ours:
    """funcgrad."""

    name = "funcgrad"

    def __init__(self):
        fg = import_module("funcgrad")
        self.np, self.nn, self.grad = import_module("funcgrad.numpy"), fg.nn, fg.grad
        self.fg, self.fw, self.device = fg, fg, fg.devices("gpu")[0]
        self.rounded = partial(self.np.matmul, precision="tensorfloat32")

    def takes(self, work):
        """Whether it can say what the work is."""
        return True

    def prepare(self, work):
        """A call that puts one run into the queue, and one that waits for what it gave."""
        args = self.fg.device_put(work.args, self.device)
        if not work.carry:
            f = self.fg.jit(work.make(self))
            return lambda: f(*args), self.fg.block_until_ready
        f = self.fg.jit(work.make(self), donate_argnums=0)
        state = [args[0]]

        def call():
            state[0], value = f(state[0], *args[1:])
            return value

        return call, self.fg.block_until_ready

    def peak(self):
        """The most bytes that were in use in this process."""
        return self.device.memory_stats()["peak_bytes_in_use"]


class Jax(Ours):
    """JAX, where it has a GPU."""

    name = "jax"

    def __init__(self):
        jax = import_module("jax")
        # Else products of float32 are rounded on a GPU.
        jax.config.update("jax_default_matmul_precision", "float32")
        self.np, self.nn, self.grad = import_module("jax.numpy"), jax.nn, jax.grad
        self.fg, self.fw, self.device = jax, jax, jax.devices("gpu")[0]
        self.rounded = partial(self.np.matmul, precision="tensorfloat32")


class TorchNN:
    """Functions of `nn` under the names that works call them by."""

    def __init__(self, torch):
        functional = torch.nn.functional
        self.softmax = lambda x, axis: functional.softmax(x, axis)
        self.log_softmax = lambda x, axis: functional.log_softmax(x, axis)
        self.gelu = partial(functional.gelu, approximate="tanh")
        self._attention = functional.scaled_dot_product_attention

    def dot_product_attention(self, *parts, is_causal):
        """Of arrays with heads inside of positions."""
        heads = (x.transpose(1, 2) for x in parts)
        return self._attention(*heads, is_causal=is_causal).transpose(1, 2)


class Torch:
    """PyTorch, eagerly."""

    name = "torch"
    compiles = False

    def __init__(self):
        self.torch = import_module("torch")
        if not self.torch.cuda.is_available():
            raise RuntimeError("this PyTorch has no CUDA")
        self.np, self.nn = self.torch, TorchNN(self.torch)
        self.tools = steps.Tools(self.torch, self.compiles)
        # PyTorch rounds convolutions else.
        self.torch.backends.cudnn.allow_tf32 = False
        self.rounded = self.torch.matmul

    def grad(self, f):
        """The gradient with respect to the first argument, a tree of tensors."""
        pytree = import_module("torch.utils._pytree")

        def slopes(x, *rest):
            leaves, tree = pytree.tree_flatten(x)
            leaves = [leaf.detach().requires_grad_(True) for leaf in leaves]
            value = f(pytree.tree_unflatten(leaves, tree), *rest)
            return pytree.tree_unflatten(self.torch.autograd.grad(value, leaves), tree)

        return slopes

    def takes(self, work):
        """Steps that have a version for it, and what is one text for all."""
        return work.torch is not None or not work.carry

    def prepare(self, work):
        """As of `Ours`."""
        self.torch.backends.cuda.matmul.allow_tf32 = work.rounded
        wait = lambda _: self.torch.cuda.synchronize()  # noqa: E731 - one of a pair
        if work.torch is not None:
            return work.torch(self.tools, *work.args), wait
        args = steps.map_tree(self.tools.tensor, tuple(work.args))
        f = self.tools.compiled(work.make(self))
        return lambda: f(*args), wait

    def peak(self):
        """As of `Ours`."""
        return self.torch.cuda.max_memory_allocated()


class Compiled(Torch):
    """PyTorch through torch.compile."""

    name = "torch.compile"
    compiles = True


class Cupy:
    """CuPy: array functions without derivatives."""

    name = "cupy"

    def __init__(self):
        self.np = self.cupy = import_module("cupy")
        self.cupy.cuda.runtime.getDeviceCount()

    def takes(self, work):
        """What has no derivative."""
        return work.plain

    def prepare(self, work):
        """As of `Ours`."""
        args = [self.cupy.asarray(a) for a in work.args]
        f = work.make(self)
        return lambda: f(*args), lambda _: self.cupy.cuda.Device().synchronize()


CONTENDERS = (Ours, Jax, Torch, Compiled, Cupy)
