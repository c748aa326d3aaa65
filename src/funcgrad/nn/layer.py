"""What a layer is, and where in a network an error or an eqn belongs.

A layer is a pair of pure functions over two plain pytrees: params, which are trained, and state,
which a call gives back changed (running averages, a dropout key, a cache). Arrays are batch-first
and channels-last: `f32[n, features]`, `f32[n, height, width, channels]`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from .. import numpy as fnp
from .. import tree
from ..api.tracing import eval_shape
from ..core.context import push_name
from ..core.shapes import ShapeDtypeStruct
from ..core.sources import user_line
from ..ir import dtypes


class Layer(NamedTuple):
    """A layer: a pair of pure functions and a name.

    Attributes:
        init: `(key, x) -> (params, state)`; x is a batch or a ShapeDtypeStruct of one, a tuple of
            them for a layer of several inputs. Params are in the float dtype of x.
        apply: `(params, state, x, *, train=False) -> (y, new_state)`.
        name: how errors, profiles and printed eqns call it.
    """

    init: Callable[[Any, Any], tuple[Any, Any]]
    apply: Callable[..., tuple[Any, Any]]
    name: str


class Network(Layer):
    """A layer made of layers: its parts name themselves in errors and scopes, through `part`."""

    __slots__ = ()


class Start(NamedTuple):
    """The init of a network that finds on its way what the network gives.

    Without it each combinator would trace its parts again, once for each level above them.

    Attributes:
        run: `(key, x) -> (params, state, y)`; x and y are trees of ShapeDtypeStructs.
    """

    run: Callable[[Any, Any], tuple[Any, Any, Any]]

    def __call__(self, key: Any, x: Any) -> tuple[Any, Any]:
        """Params and state."""
        params, state, _ = self.run(key, spec(x))
        return params, state


Part = Layer | Callable[[Any], Any]


def stateless(
    init_params: Callable[[Any, Any], Any], apply_params: Callable[[Any, Any], Any], name: str
) -> Layer:
    """A layer without state, from `init_params(key, x)` and `apply_params(params, x)`.

    Its state is `()`, and training makes no difference to it.
    """

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        return init_params(key, x), ()

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        return apply_params(params, x), state

    return Layer(init, apply, name)


def activation(function: Callable[[Any], Any], name: str | None = None) -> Layer:
    """A function of the input alone, such as `nn.relu`, as a layer. No params."""
    given = getattr(function, "__name__", "")
    own = name or (given if given.isidentifier() else "function")
    return stateless(lambda key, x: (), lambda params, x: function(x), own)


def as_layer(part: Part) -> Layer:
    """The layer itself; a plain function as an `activation`.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(part, Layer):
        return part
    if not callable(part):
        raise TypeError(
            f"A network is made of layers and functions, got {part!r}.\n  {user_line()}\n"
            "  Give a Layer, such as nn.dense(10), or a function of one array, such as nn.relu."
        )
    return activation(part)


@contextmanager
def part(step: str, layer: Layer) -> Generator[None]:
    """Run a part of a network: its eqns and its errors bear the path to it.

    Args:
        step: the way from the network to the part, such as `serial[2]`.
        layer: the part.
    """
    inner = isinstance(layer, Network)
    try:
        with push_name(step if inner else f"{step}.{layer.name}"):
            yield
    except FloatingPointError:
        raise  # debug_nans: its text has the scope already
    except Exception as error:
        if "layer_path" not in vars(error):
            add_path(error, layer.name)
        add_path(error, step)
        raise


def add_path(error: Exception, step: str) -> None:
    """Put a step before the path in the error's text; the innermost part starts the path."""
    path, text = vars(error).get("layer_path", ("", None))
    if text is None:
        if not (len(error.args) == 1 and isinstance(error.args[0], str)):
            return
        text = error.args[0]
    path = f"{step}.{path}" if path else step
    vars(error)["layer_path"] = (path, text)
    error.args = (f"{path}: {text}",)


def spec(x: Any) -> Any:
    """The tree of ShapeDtypeStructs of a batch."""

    def one(leaf: Any) -> ShapeDtypeStruct:
        array = leaf if hasattr(leaf, "shape") and hasattr(leaf, "dtype") else fnp.asarray(leaf)
        return ShapeDtypeStruct(array.shape, array.dtype)

    return tree.map(one, x)


def output_spec(layer: Layer, params: Any, state: Any, x: Any) -> Any:
    """Shapes and dtypes of what the layer makes of x, without any arithmetic."""
    return eval_shape(layer.apply, params, state, x)[0]


def begin(layer: Layer, key: Any, x: Any) -> tuple[Any, Any, Any]:
    """Params and state of a layer, and shapes and dtypes of what it makes of x."""
    if isinstance(layer.init, Start):
        return layer.init.run(key, spec(x))
    params, state = layer.init(key, x)
    return params, state, output_spec(layer, params, state, x)


def short(x: Any) -> str:
    """`f32[2,3]`, or the tree of such texts."""
    texts = tree.map(lambda leaf: leaf.aval.short(), spec(x))
    return texts if isinstance(texts, str) else str(texts).replace("'", "")


def param_dtype(x: Any) -> Any:
    """The dtype of params for inputs x: that of x if it is floating, else the default float."""
    if dtypes.issubdtype(x.dtype, fnp.floating):
        return dtypes.canonicalize_dtype(x.dtype)
    return fnp.result_type(float)


def entries(tree_: Any, names: Sequence[str], layer: str, what: str) -> tuple[Any, ...]:
    """The named entries of a layer's params or state.

    Raises:
        ValueError: it is no dictionary, or an entry is missing.
    """
    given = cast("dict[str, Any]", tree_) if isinstance(tree_, dict) else {}
    if all(name in given for name in names):
        return tuple(given[name] for name in names)
    has = sorted(given) if isinstance(tree_, dict) else type(tree_).__name__
    raise ValueError(
        f"{layer} needs {what} with the entries {sorted(names)}, got {has}.\n  {user_line()}\n"
        f"  Give the {what} that its init returned, or that the call before gave back."
    )


def check_axes(x: Any, least: int, layer: str, wanted: str) -> None:
    """Raise ValueError when x has fewer axes than the layer needs."""
    if len(x.shape) < least:
        raise ValueError(
            f"{layer} takes {wanted}, got {short(x)}.\n  {user_line()}\n"
            f"  Give an input of at least {least} axes, the batch axis first."
        )
