"""Steps as networks have them: recurrent cells, heads of attention, layers in a loop, training."""

from __future__ import annotations

import math

from .control import braces
from .drawing import Impossible
from .folds import products_allowed

ACTIVATIONS = ["np.tanh({})", "nn.sigmoid({})", "nn.gelu({})", "nn.silu({})", "np.sin({})"]


def weights(d, *shape):
    return d.new_input(shape, "real").name


def sequence(d, most=64):
    """A value of rows in time, and the extents of batch, time and features."""
    x = d.value(lambda v: v.dtype == "real" and v.ndim in (2, 3) and v.size > 0)
    batch, time, width = (1, *x.shape)[-3:]
    if time > most or width > 256:
        raise Impossible
    return x, batch, time, width


def recurrent(d):
    """A scan of a cell with gates: of inputs, of the state, or of both."""
    x, batch, time, width = sequence(d)
    made, gates = d.one_of([1, 3, 8, 16, 20, 33, 64]), d.one_of([1, 2, 4])
    products_allowed(d, batch * time * (width + made) * made * gates)
    w, u, b = (
        weights(d, width, gates * made),
        weights(d, made, gates * made),
        weights(d, gates * made),
    )
    f, first = d.name("f"), d.name("x")
    acts = [d.one_of(ACTIVATIONS[:2]), d.one_of(ACTIVATIONS), d.one_of(ACTIVATIONS)]
    lines = [
        f"def {f}(c, r):",
        "    h, s = c",
        f"    z = r @ {w} / {math.sqrt(width):.4g} + h @ {u} / {math.sqrt(made):.4g}"
        + (f" + {b}" if d.chance(0.8) else ""),
        f"    parts = np.split(z, {gates}, -1)",
        f"    s = {acts[0].format('parts[0]')} * s + {acts[1].format('parts[-1]')} * 0.5",
        f"    h = {acts[2].format(f'parts[{gates // 2}]')} * np.tanh(s)",
        f"    return (h, s), {d.one_of(['h', 's', 'h + s', 'z', 'h[:, ::-1]'])}",
        f"{first} = np.zeros(({batch}, {made}), {x.name}.dtype)",
    ]
    rows = f"{x.name}.reshape({(batch, time, width)}).swapaxes(0, 1)"
    more = d.one_of(["", "", ", reverse=True", ", unroll=2"])
    text = braces("\n".join(lines))
    d.state(
        f"{text}\n({{}}, {{}}), {{}} = lax.scan({f}, ({first}, {first}), {rows}{more})",
        3,
        [None] * 3,
    )


def heads(d):
    """Attention of several heads, whose queries, keys and values one product makes."""
    x, batch, time, width = sequence(d, 129)
    count, size = d.one_of([1, 2, 3]), d.one_of([1, 4, 8, 16, 33])
    made = count * size
    products_allowed(d, batch * time * (time * made + 3 * width * made))
    if batch * count * time * time > d.limits.elements:
        raise Impossible
    w = weights(d, width, 3 * made)
    flat = f"({x.name}.reshape({(batch, time, width)}) @ {w} / {math.sqrt(width):.4g})"
    q, k, v, s = (d.name("q") for _ in range(4))
    shape = (batch, time, count, size)
    mask = d.one_of(
        ["", f"np.tril(np.ones(({time}, {time}), bool))", f"np.arange({time}) < {1 + time // 2}"]
    )
    lines = [
        f"{q}, {k}, {v} = (u.reshape({shape}) for u in np.split({flat}, 3, -1))",
        f"{s} = np.einsum('bihd,bjhd->bhij', {q}, {k}) / {math.sqrt(size):.4g}",
        f"{s} = np.where({mask}, {s}, {d.one_of(['-1e4', '-np.inf'])})"
        if mask
        else f"{s} = {s} * 0.9",
    ]
    d.state(
        braces("\n".join(lines))
        + f"\n{{}} = np.einsum('bhij,bjhd->bihd', nn.softmax({s}, -1), {v})",
        1,
        [None],
    )


def looped_layers(d):
    """The same layer again and again, or one with weights of its own each turn."""
    x, batch, time, width = sequence(d, 300)
    turns = d.one_of([1, 2, 3])
    products_allowed(d, turns * batch * time * width * width)
    w, act = weights(d, turns, width, width), d.one_of(ACTIVATIONS)
    inner = f"c @ r / {math.sqrt(width):.4g}"
    new = d.one_of([act.format(inner), f"c + {act.format(inner)}", f"{act.format(inner)} * c"])
    out = d.one_of(["None", "c.sum(-1)", "c"])
    f = d.name("f")
    how = d.one_of(["", "@top.checkpoint\n"])
    text = f"{how}def {f}(c, r):\n    return {new}, {out}\n"
    holes, count = ("{}, _", 1) if out == "None" else ("{}, {}", 2)
    d.state(f"{text}{holes} = lax.scan({f}, {x.name}, {w})", count, [None] * count)


def trained(d):
    """Some steps of descent, in a scan."""
    x, batch, time, width = sequence(d, 300)
    made = d.one_of([1, 3, 8, 17, 64])
    products_allowed(d, 9 * batch * time * width * made)
    if batch * time * made > d.limits.elements:
        raise Impossible
    w, b = weights(d, width, made), weights(d, made)
    f, g = d.name("f"), d.name("g")
    loss = d.one_of(["(y * y).mean()", "np.sin(y).sum() * 0.01", "nn.logsumexp(y, -1).mean()",
                     "-nn.log_softmax(y)[..., 0].mean()"])  # fmt: skip
    inner = f"{x.name} @ p[0] / {math.sqrt(width):.4g} + p[1]"
    lines = [
        f"def {f}(p):",
        f"    y = {d.one_of(ACTIVATIONS).format(inner)}",
        f"    return ({loss}).astype({x.name}.dtype)",
        f"def {g}(p, _):",
        f"    value, slope = top.value_and_grad({f})(p)",
        "    return tuple(q - np.asarray(0.1, q.dtype) * s for q, s in zip(p, slope)), value",
    ]
    n = d.one_of([1, 2, 3])
    d.state(
        braces("\n".join(lines))
        + f"\n({{}}, {{}}), {{}} = lax.scan({g}, ({w}, {b}), None, length={n})",
        3,
        [None] * 3,
    )


STEPS = {
    "recurrent": (recurrent, 3),
    "heads": (heads, 3),
    "looped_layers": (looped_layers, 3),
    "trained": (trained, 2),
}
