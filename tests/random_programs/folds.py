"""Steps that fold axes: reductions, running folds, sorts, norms, products, convolutions."""

import math

from .drawing import Impossible

SUMS = [
    "np.sum({}, {}) / {}",
    "np.mean({}, {})",
    "np.var({}, {})",
    "nn.logsumexp({}, {})",
    "np.sqrt(1e-2 + np.sum({0} * {0}, {1}) / {2})",
    "np.prod(1 + 0.1 * np.tanh({}) / {3}, {1})",
    "lax.rsqrt(1e-1 + np.var({}, {}))",
]


def axes_of(d, x):
    """The text of axes to fold, their extent, and the same with keepdims."""
    kind = d.dice.random()
    if kind < 0.15 or x.ndim == 0:
        axes = tuple(range(x.ndim))
    elif kind < 0.3 and x.ndim > 1:
        axes = tuple(sorted(d.dice.sample(range(x.ndim), 2)))
    else:
        axes = (d.below(x.ndim),)
    n = math.prod(x.shape[k] for k in axes)
    if n == 0:
        raise Impossible
    kept = ", keepdims=True" if d.chance(0.4) else ""
    return f"{axes if len(axes) != 1 else axes[0]}{kept}", n


def summed(d):
    x = d.rounded()
    axes, n = axes_of(d, x)
    # Not scaled fully, so that sums are not small beside what they are of.
    text = d.one_of(SUMS)
    if "{3}" in text:
        text = text.replace("{}", "{0}")
    d.add(text.format(x.name, axes, f"{math.sqrt(n):.4g}", n))


def folded(d):
    x = d.value(lambda v: v.is_whole)
    axes, n = axes_of(d, x)
    if x.dtype == "bool":
        how = d.one_of(["any", "all", "sum"])
    elif x.is_integer:
        how = d.one_of(["sum", "max", "min", "prod"])
    else:
        how = d.one_of(["sum", "sum", "max", "min"])
    d.add(f"np.{how}({x.name}, {axes})", x.bound and (x.bound * n if how == "sum" else x.bound))


def greatest(d):
    x = d.bent()
    axes, _ = axes_of(d, x)
    d.add(f"np.{d.one_of(['max', 'min'])}({x.name}, {axes})", x.bound)


def placed(d):
    x = d.whole(lambda v: v.ndim > 0 and v.dtype != "bool")
    k = d.axis(x)
    d.add(f"np.{d.one_of(['argmax', 'argmin'])}({x.name}, {k})")


def running(d):
    x = d.value(lambda v: v.ndim > 0 and v.size > 0 and v.is_float)
    k, n = (k := d.axis(x)), x.shape[k]
    back = d.one_of(["", ", reverse=True"])
    forms = [
        f"lax.cumsum({x.name}, {k}{back}) / {math.sqrt(n):.4g}",
        f"lax.cumlogsumexp({x.name}, {k}{back})",
        f"lax.cumprod(1 + 0.1 * np.tanh({x.name}) / {n}, {k}{back})",
    ]
    if x.bound is not None or not d.smooth:
        forms.append(f"lax.{d.one_of(['cummax', 'cummin'])}({x.name}, {k}{back})")
    text = d.one_of(forms)
    d.add(text, x.bound if "max" in text or "min" in text else None)


def running_integers(d):
    x = d.value(lambda v: v.ndim > 0 and v.size > 0 and v.is_integer)
    d.add(f"lax.{d.one_of(['cumsum', 'cummax', 'cumprod'])}({x.name}, {d.axis(x)})")


def sorted_(d):
    x = d.bent(lambda v: v.ndim > 0 and v.dtype != "bool")
    k = d.axis(x)
    forms = [f"np.sort({x.name}, {k})", f"-np.sort(-{x.name}, {k})"]
    if k == x.ndim - 1:
        forms.append(f"lax.top_k({x.name}, {1 + d.below(x.shape[k])})[0]")
    d.add(d.one_of(forms), x.bound)


def order(d):
    x = d.whole(lambda v: v.ndim > 0 and v.dtype != "bool")
    k = d.axis(x)
    if k == x.ndim - 1 and d.chance(0.4):
        d.add(f"lax.top_k({x.name}, {1 + d.below(x.shape[k])})[1]")
    else:
        d.add(f"np.argsort({x.name}, {k})")


def normed(d):
    x = d.rounded(lambda v: v.ndim > 0 and v.size > 0)
    k = d.axis(x)
    n = x.name
    forms = [
        f"nn.softmax({n}, {k}) * {x.shape[k]}",
        f"nn.log_softmax({n}, {k})",
        f"({n} - {n}.mean({k}, keepdims=True)) * lax.rsqrt({n}.var({k}, keepdims=True) + 0.1)",
        f"{n} * lax.rsqrt(({n} * {n}).mean({k}, keepdims=True) + 0.1)",
        f"np.exp({n} - lax.stop_gradient({n}.mean({k}, keepdims=True)) * 0) * 0.1",
    ]
    d.add(d.one_of(forms[:-1]))


def products_allowed(d, n):
    if n > d.limits.products:
        raise Impossible


def scaled(expression, n, whole):
    return expression if whole is not None else f"{expression} / {math.sqrt(max(n, 1)):.4g}"


def multiplied(d):
    """dot_general over some axes of equal extents, in any order."""
    x = d.value(lambda v: v.ndim > 0 and v.size > 0 and v.is_float)
    y = d.value(lambda v: v.ndim > 0 and v.dtype == x.dtype and set(v.shape) & set(x.shape))
    pairs = [(i, j) for i, a in enumerate(x.shape) for j, b in enumerate(y.shape) if a == b]
    d.dice.shuffle(pairs)
    chosen = []
    for i, j in pairs:
        if all(i != a and j != b for a, b in chosen):
            chosen.append((i, j))
    contracted, batch = chosen[:1], []
    for both in chosen[1:]:
        kind = d.dice.random()
        if kind < 0.3:
            contracted.append(both)
        elif kind < 0.6:
            batch.append(both)
    n = math.prod(x.shape[i] for i, _ in contracted)
    products_allowed(
        d, x.size * y.size // max(n, 1) // max(math.prod(x.shape[i] for i, _ in batch), 1)
    )
    numbers = tuple(tuple(zip(*p, strict=True)) or ((), ()) for p in (contracted, batch))
    whole = None if None in (x.bound, y.bound) else x.bound * y.bound * n
    d.add(scaled(f"lax.dot_general({x.name}, {y.name}, {numbers})", n, whole), whole)


def layered(d):
    """A product with weights of its own."""
    x = d.rounded(lambda v: v.ndim > 0 and v.size > 0)
    n = x.shape[-1]
    m = d.one_of(d.limits.extents)
    products_allowed(d, x.size * m)
    if x.size // n * m > d.limits.elements:
        raise Impossible
    w = d.new_input((n, m) if d.chance(0.6) else (m, n), x.dtype)
    text = f"{x.name} @ {w.name}{'' if w.shape[0] == n and w.shape == (n, m) else '.T'}"
    d.add(scaled(text, n, None))


def narrow_product(d):
    """Integers of 8 bits, summed in 32."""
    x = d.value(lambda v: v.dtype in ("int8", "uint8") and v.ndim > 0 and v.size > 0)
    m = d.one_of(d.limits.extents)
    products_allowed(d, x.size * m)
    if x.size // x.shape[-1] * m > d.limits.elements:
        raise Impossible
    w = d.new_input((x.shape[-1], m), x.dtype, 9)
    d.add(f"np.matmul({x.name}, {w.name}, preferred_element_type=np.int32)")


def attended(d):
    x = d.rounded(lambda v: v.ndim in (2, 3) and v.size > 0)
    t, n = x.shape[-2:]
    products_allowed(d, x.size * t)
    if x.size // n * t > d.limits.elements:
        raise Impossible
    k = d.value(lambda v: v.dtype == x.dtype and v.shape == x.shape)
    scores = f"nn.softmax({x.name} @ np.swapaxes({k.name}, -1, -2) / {math.sqrt(n):.4g}"
    if d.chance(0.3):
        scores = (
            f"nn.softmax(np.where(np.tril(np.ones(({t}, {t}), bool)), "
            f"{x.name} @ np.swapaxes({k.name}, -1, -2) / {math.sqrt(n):.4g}, -1e4)"
        )
    d.add(f"{scores}, -1) @ {x.name}")


def convolved(d):
    x = d.rounded(lambda v: v.ndim in (3, 4) and v.size > 0)
    channels, spatial = x.shape[-1], x.shape[1:-1]
    made = d.one_of([1, 3, 8, 16, 17])
    window = tuple(d.one_of([1, 2, 3]) for _ in spatial)
    groups = channels if channels <= 16 and d.chance(0.2) else 1
    products_allowed(d, x.size * made * math.prod(window))
    if channels > 256:
        raise Impossible
    w = d.new_input((*window, channels // groups, made * groups), x.dtype)
    padding = (
        d.one_of(["'SAME'", "'VALID'"])
        if all(a >= b for a, b in zip(spatial, window, strict=True))
        else "'SAME'"
    )
    names = ("NWC", "WIO", "NWC") if x.ndim == 3 else ("NHWC", "HWIO", "NHWC")
    strides = tuple(d.one_of([1, 1, 2]) for _ in spatial)
    wide = (
        tuple(d.one_of([1, 1, 2]) for _ in spatial) if padding == "'SAME'" else (1,) * len(spatial)
    )
    text = (
        f"lax.conv_general_dilated({x.name}, {w.name}, {strides}, {padding}, rhs_dilation={wide}, "
        f"dimension_numbers={names}, feature_group_count={groups})"
    )
    d.add(scaled(text, channels // groups * math.prod(window), None))


def windowed(d):
    """Pooling over windows."""
    x = d.bent(lambda v: v.ndim > 1 and v.size > 0 and v.is_float)
    window = tuple(d.one_of([m for m in (1, 1, 2, 3) if m <= n]) for n in x.shape)
    strides = tuple(d.one_of([1, 2, m]) for m in window)
    start, how = d.one_of([("-np.inf", "lax.max"), ("0.0", "lax.add")])
    whole = x.bound and x.bound * (math.prod(window) if how == "lax.add" else 1)
    padding = "VALID" if how == "lax.max" else d.one_of(["VALID", "SAME"])
    first = f"np.asarray({start}, {x.name}.dtype)"
    d.add(f"lax.reduce_window({x.name}, {first}, {how}, {window}, {strides}, '{padding}')", whole)


def transformed(d):
    x = d.value(lambda v: v.dtype == "real" and not d.narrow and v.ndim > 0 and v.size > 0)
    k = d.axis(x)
    how = d.one_of(["fft", "rfft", "ifft"])
    d.add(f"np.fft.{how}({x.name}, axis={k}) / {math.sqrt(x.shape[k]):.4g}")


def sorted_together(d):
    """Values in the order of others, made of both at once."""
    x = d.whole(lambda v: v.ndim > 0 and v.size > 0 and v.dtype != "bool")
    y = d.value(lambda v: v.shape == x.shape)
    k = d.axis(x)
    both = f"[{x.name}, {y.name}]"
    text = f"{{}}, {{}} = lax.sort({both}, dimension={k}, num_keys=1)"
    d.state(text, 2, [x.bound, y.bound])


def associated(d):
    """A scan of an associative function."""
    x = d.value(lambda v: v.ndim > 0 and v.size > 0 and v.is_float)
    k = d.axis(x)
    forms = [
        "lambda a, b: a + b",
        "lambda a, b: a + b + 0.1",
        "lambda a, b: np.logaddexp(a, b)",
    ]
    back = d.one_of(["", ", reverse=True"])
    d.add(f"lax.associative_scan({d.one_of(forms)}, {x.name} / {x.shape[k]}, axis={k}{back})")


def triple(d):
    x = d.rounded(lambda v: v.ndim == 2 and v.size > 0)
    y = d.value(lambda v: v.dtype == x.dtype and v.ndim == 2 and v.shape[0] == x.shape[1])
    z = d.value(lambda v: v.dtype == x.dtype and v.ndim in (1, 2) and v.shape[0] == x.shape[0])
    products_allowed(d, x.size * y.shape[1])
    n = math.sqrt(x.shape[1])
    made = "i,ij,jk->ik" if z.ndim == 1 else "im,ij,jk->mk"
    d.add(f"np.einsum('{made}', {z.name}, {x.name}, {y.name}) / {n:.4g}")


def spread(d):
    """A convolution that widens: transposed, or of a dilated left side."""
    x = d.rounded(lambda v: v.ndim == 3 and v.size > 0 and v.shape[-1] <= 256)
    c, made, w = x.shape[-1], d.one_of([1, 3, 8, 17]), d.one_of([1, 2, 3])
    products_allowed(d, 2 * x.size * made * w)
    k = d.new_input((w, c, made), x.dtype)
    wide, pads = d.one_of([2, 3]), (d.one_of([0, 1, 2]), d.one_of([0, 1, 3]))
    if x.shape[1] < w:
        raise Impossible
    names = ("NWC", "WIO", "NWC")
    d.add(
        scaled(
            f"lax.conv_general_dilated({x.name}, {k.name}, (1,), [{pads}], lhs_dilation=({wide},), "
            f"dimension_numbers={names})",
            c * w,
            None,
        )
    )


def solved(d):
    x = d.value(
        lambda v: (
            v.dtype == "real"
            and not d.narrow
            and v.ndim >= 2
            and 0 < v.shape[-2] <= 40
            and v.size > 0
        )
    )
    n = x.shape[-2]
    a = d.new_input((n, n), "real")
    square = f"np.eye({n}, dtype=real) * 3 + {a.name} * {0.3 / math.sqrt(n):.4g}"
    if d.chance(0.5):
        d.add(f"np.linalg.solve({square}, {x.name})")
    else:
        square = f"np.eye({n}, dtype=real) + {a.name} @ {a.name}.T / {n}"
        d.add(f"np.linalg.cholesky({square}) @ {x.name} / {math.sqrt(n):.4g}")


STEPS = {
    "summed": (summed, 6),
    "folded": (folded, 4),
    "greatest": (greatest, 3),
    "placed": (placed, 2),
    "running": (running, 3),
    "running_integers": (running_integers, 1),
    "sorted": (sorted_, 2),
    "order": (order, 2),
    "normed": (normed, 4),
    "multiplied": (multiplied, 5),
    "layered": (layered, 6),
    "narrow_product": (narrow_product, 2),
    "attended": (attended, 2),
    "convolved": (convolved, 3),
    "windowed": (windowed, 2),
    "transformed": (transformed, 1),
    "solved": (solved, 1),
    "sorted_together": (sorted_together, 1),
    "associated": (associated, 1),
    "triple": (triple, 1),
    "spread": (spread, 1),
}
