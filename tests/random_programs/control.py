"""Steps that hold functions: loops, branches, and transforms within the program."""

from __future__ import annotations

from dataclasses import replace

from .arithmetic import broadcast
from .drawing import Impossible, Value, grow


def grown(d, params, smooth=None, first=None):
    """The text of a function of these values with some statements, and the values at its end."""
    if d.depth > 1:
        raise Impossible
    with d.inside(params, smooth):
        if first is not None:
            d.steps[first][0](d)
        grow(d, 1 + d.below(3))
        made = [v for s in d.statements for v in s.made]
        lines = [line for s in d.statements for line in s.text.splitlines()]
    return lines, made


def defined(name, params, lines, result):
    body = [*lines, f"return {result}"]
    return "\n".join([f"def {name}({', '.join(params)}):", *("    " + line for line in body)])


def braces(text):
    return text.replace("{", "{{").replace("}", "}}")


def fitted(d, state, made):
    """Text of a value with the shape and dtype of the state, of the state and of what was made."""
    fits = [
        v for v in made if v.dtype == state.dtype and broadcast(v.shape, state.shape) == state.shape
    ]
    same = [v for v in fits if v.shape == state.shape]
    if same and d.chance(0.4):
        return same[-1].name
    if state.is_float or state.dtype == "cplx":
        if fits:
            new = fits[-1].name
        else:
            floats = [v for v in made if v.dtype == state.dtype]
            new = f"{floats[-1].name}.mean()" if floats and floats[-1].size else "0.1"
        if state.dtype == "cplx":
            return f"0.5 * {state.name} + 0.25 * {new}"
        return d.one_of(
            [
                f"0.5 * {state.name} + 0.5 * np.tanh({new})",
                f"np.tanh({state.name} + {new})",
                f"np.broadcast_to(np.tanh({new}), {state.shape}).astype({state.name}.dtype)",
            ]
        )
    if state.dtype == "bool":
        return f"~{state.name}"
    return f"{state.name} + {fits[-1].name} % 3" if fits else f"{state.name} + 1"


def free(v):
    """A value whose bound is not known any more, as one that loops carry."""
    return replace(v, bound=None)


def param(d, like, shape=None):
    return free(Value(d.name("v"), like.shape if shape is None else shape, like.dtype))


def tuple_text(names):
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def scanned(d):
    """A scan over one or two values, with the rows of one or two others, or none."""
    states = d.several(lambda v: v.size <= d.limits.elements // 8)
    rows = d.value(lambda v: v.ndim > 0 and 0 < v.shape[0] <= 33)
    length = rows.shape[0]
    like = [v for v in d.values if v.ndim > 0 and v.shape[0] == length]
    over = [rows, d.one_of(like)][: d.one_of([1, 1, 2])]
    carries = [param(d, s) for s in states]
    parts = [Value(d.name("v"), v.shape[1:], v.dtype, v.bound) for v in over]
    lines, made = grown(d, [*carries, *parts])
    out = d.one_of([v.name for v in [*carries, *parts, *made]])
    new = [fitted(d, c, made) for c in carries]
    f = d.name("f")
    taken = [
        f"{tuple_text([c.name for c in carries])} = c",
        f"{tuple_text([r.name for r in parts])} = r",
    ]
    text = braces(defined(f, ["c", "r"], [*taken, *lines], f"({tuple_text(new)}, {out})"))
    more = d.one_of(["", "", ", reverse=True", ", unroll=2"])
    holes = tuple_text(["{}"] * len(states))
    given = ", ".join(tuple_text([v.name for v in vs]) for vs in (states, over))
    count = len(states) + 1
    d.state(f"{text}\n{holes}, {{}} = lax.scan({f}, {given}{more})", count, [None] * count)


def counted(d):
    """fori_loop, while_loop, or a scan without rows, over one or two values."""
    states = d.several(lambda v: v.size <= d.limits.elements // 8)
    turns = d.one_of([0, 1, 2, 3, 5])
    kind = d.one_of(["fori", "while"]) if not d.smooth else "fori"
    i = Value(d.name("i"), (), "int64" if kind == "fori" else "int32")
    carries = [param(d, s) for s in states]
    lines, made = grown(d, [i, *carries])
    new = [fitted(d, c, made) for c in carries]
    if (
        len(new) == 2
        and carries[0].shape == carries[1].shape
        and carries[0].dtype == carries[1].dtype
    ):
        new.reverse()
    names, given = ", ".join(c.name for c in carries), ", ".join(s.name for s in states)
    comma = "," if len(states) == 1 else ""
    unpacked = f"{names}{comma} = s"
    f = d.name("f")
    holes = ", ".join(["{}"] * len(states)) + comma
    if kind == "fori":
        text = defined(f, [i.name, "s"], [unpacked, *lines], f"({', '.join(new)}{comma})")
        text = f"{braces(text)}\n{holes} = lax.fori_loop(0, {turns}, {f}, ({given}{comma}))"
    else:
        inner = [f"{i.name}, {names} = s", *lines]
        text = defined(f, ["s"], inner, f"({i.name} + 1, {', '.join(new)})")
        start = "np.asarray(0, np.int32)"
        whole = [
            v.name for v in d.values if v.dtype == "int32" and v.ndim == 0 and v.name not in names
        ]
        start = f"{d.one_of(whole)} % 3 + 0" if whole and d.chance(0.5) else start
        call = f"lax.while_loop(lambda s: s[0] < {turns}, {f}, ({start}, {given}))"
        text = f"{braces(text)}\n_, {holes} = {call}"
    d.state(text, len(states), [None] * len(states))


def branched(d):
    """cond, or a switch between three, of one or two values."""
    given = d.several()
    texts, names = [], []
    for _ in range(d.one_of([2, 2, 3])):
        params = [replace(param(d, v), bound=v.bound) for v in given]
        lines, made = grown(d, params)
        f = d.name("f")
        outs = [v.name if d.chance(0.3) else fitted(d, v, made) for v in params]
        outs = [f"np.asarray({x}, {v.name}.dtype)" for x, v in zip(outs, params, strict=True)]
        texts.append(defined(f, [v.name for v in params], lines, tuple_text(outs)))
        names.append(f)
    args = ", ".join(v.name for v in given)
    if len(names) == 2:
        call = f"lax.cond({_scalar_truth(d)}, {', '.join(names)}, {args})"
    else:
        whole = [v for v in d.values if v.is_integer and v.size > 0]
        k = f"np.ravel({d.one_of(whole).name})[0].astype(np.int32) % 3" if whole else d.below(3)
        call = f"lax.switch({k}, [{', '.join(names)}], {args})"
    text, holes = braces("\n".join(texts)), tuple_text(["{}"] * len(given))
    d.state(f"{text}\n{holes} = {call}", len(given), [None] * len(given))


def _scalar_truth(d):
    whole = [v for v in d.values if v.is_whole and v.size > 0]
    if not whole:
        return d.one_of(["True", "False"])
    return f"np.ravel({d.one_of(whole).name})[0] > 0"


def mapped(d):
    """vmap over an axis of one value, or of two; or lax.map."""
    x = d.value(lambda v: v.ndim > 0 and v.size > 0 and v.shape[0] <= 64)
    k = d.axis(x) if d.chance(0.5) else 0
    n = x.shape[k]
    others = [v for v in d.values if v is not x and v.ndim > 0 and v.shape[-1] == n and v.size > 0]
    pairs = [(x, k)]
    if others and d.chance(0.6):
        y = d.one_of(others)
        pairs.append((y, y.ndim - 1))
    params = [
        Value(d.name("v"), (*v.shape[:j], *v.shape[j + 1 :]), v.dtype, v.bound) for v, j in pairs
    ]
    axis = d.name("axis")
    d.axes[axis] = n
    try:
        lines, made = grown(d, params, first="collected" if d.chance(0.3) else None)
    finally:
        del d.axes[axis]
    outs = [v.name for v in made][-2:] or [params[0].name]
    f = d.name("f")
    comma = "," if len(outs) == 1 else ""
    text = braces(defined(f, [p.name for p in params], lines, f"({', '.join(outs)}{comma})"))
    holes = ", ".join(["{}"] * len(outs)) + comma
    if len(pairs) == 1 and k == 0 and n <= 16 and axis not in "\n".join(lines) and d.chance(0.3):
        text = f"{text}\n{holes} = lax.map({f}, {x.name})"
    else:
        axes = tuple(j for _, j in pairs)
        rank = min([v.ndim for v in made][-2:] or [0])
        out = d.one_of([0, 0, 1, -1]) if rank > 0 else 0
        given = ", ".join(v.name for v, _ in pairs)
        text = f"{text}\n{holes} = top.vmap({f}, {axes}, {out}, axis_name='{axis}')({given})"
    d.state(text, len(outs), [None] * len(outs))


def collected(d):
    """A collective over an axis that is mapped over."""
    axis = d.one_of(list(d.axes))
    n = d.axes[axis]
    x = d.value(lambda v: v.dtype != "bool")
    forms = {
        "lax.psum({}, '{}')": x.bound and x.bound * n,
        "lax.all_gather({}, '{}')": x.bound,
        "lax.ppermute({}, '{}', [(i, (i + 1) % {n}) for i in range({n})])": x.bound,
        "lax.axis_index('{1}') + {0}": x.bound and x.bound + n,
    }
    if x.is_whole and x.dtype != "cplx":
        forms["lax.pmax({}, '{}')"] = x.bound
    text = d.one_of(list(forms))
    divide = f" / {n}" if x.bound is None and not x.is_integer and "psum" in text else ""
    d.add(braces(text.format(x.name, axis, n=n) + divide), forms[text])


def derived(d):
    """A gradient, a directional derivative, or the pullback within the program."""
    x = d.value(lambda v: v.is_float and v.size > 0)
    v = replace(param(d, x), bound=x.bound)
    lines, made = grown(d, [v], smooth=True)
    floats = [m for m in made if m.is_float and m.dtype == x.dtype]
    if not floats:
        raise Impossible
    f, y = d.name("f"), floats[-1].name
    if d.chance(0.5):
        text = defined(
            f, [v.name], lines, f"np.sin({y}).sum() / {max(floats[-1].size, 1) ** 0.5:.4g}"
        )
        text = f"{braces(text)}\n{{}} = top.grad({f})({x.name})"
    else:
        text = defined(f, [v.name], lines, y)
        text = f"{braces(text)}\n{{}} = top.jvp({f}, ({x.name},), (np.cos({x.name}),))[1]"
    d.state(text, 1, [None])


def ruled(d):
    """A function with a reverse rule of its own, which is true."""
    x = d.rounded(lambda v: v.size > 0)
    f = d.name("f")
    text = "\n".join(
        [
            "@top.custom_vjp",
            f"def {f}(v):",
            "    return np.sin(v) * v",
            f"{f}.defvjp(lambda v: ({f}(v), v), lambda v, t: (t * (np.cos(v) * v + np.sin(v)),))",
        ]
    )
    if d.mode in ("jvp", "hvp") or d.depth:
        raise Impossible  # what goes forward cannot pass it
    d.state(f"{text}\n{{}} = {f}({x.name})", 1, [None])


def called(d):
    """A function of its own: jit within jit, or rematerialised."""
    x = d.value()
    v = replace(param(d, x), bound=x.bound)
    lines, made = grown(d, [v])
    if not made:
        raise Impossible
    f = d.name("f")
    how = d.one_of(["top.jit", "top.checkpoint"])
    bound = made[-1].bound
    text = defined(f, [v.name], lines, made[-1].name)
    d.state(f"{braces(text)}\n{{}} = {how}({f})({x.name})", 1, [bound])


STEPS = {
    "scanned": (scanned, 3),
    "counted": (counted, 3),
    "branched": (branched, 3),
    "mapped": (mapped, 3),
    "derived": (derived, 3),
    "collected": (collected, 3),
    "called": (called, 2),
    "ruled": (ruled, 1),
}
