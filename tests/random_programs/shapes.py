"""Steps that move elements: views, parts, joins, gathers and updates."""

from .drawing import Impossible


def transposed(d):
    x = d.value(lambda v: v.ndim > 1)
    order = list(range(x.ndim))
    d.dice.shuffle(order)
    d.add(f"{x.name}.transpose({tuple(order)})", x.bound)


def factors(d, n):
    """Some extents whose product is n."""
    found = []
    for _ in range(d.below(3)):
        k = d.one_of([k for k in range(1, min(n, 400) + 1) if n % k == 0])
        found.append(k)
        n //= k
    found.append(n)
    d.dice.shuffle(found)
    return tuple(found)


def reshaped(d):
    x = d.value(lambda v: v.size > 0)
    d.add(f"{x.name}.reshape({factors(d, x.size)})", x.bound)


def sliced(d):
    x = d.value(lambda v: v.size > 0 and v.ndim > 0)
    parts = []
    for n in x.shape:
        start = d.below(n)
        stop = start + 1 + d.below(n - start)
        kind = d.dice.random()
        if kind < 0.45:
            parts.append(":")
        elif kind < 0.6:
            parts.append(f"{start}:{stop}")
        elif kind < 0.75:
            parts.append(f"{start}:{stop}:{d.one_of([2, 3])}")
        elif kind < 0.9:
            parts.append(f"{d.one_of(['', stop - 1])}::{d.one_of([-1, -1, -2])}")
        else:
            parts.append(str(d.one_of([start, -1])))
    if d.chance(0.15):
        parts.insert(d.below(len(parts) + 1), "None")
    d.add(f"{x.name}[{', '.join(parts)}]", x.bound)


def padded(d):
    x = d.value()
    config = tuple(
        (d.one_of([0, 1, 3, -1]), d.one_of([0, 2, -1]), d.one_of([0, 0, 0, 1, 2])) for _ in x.shape
    )
    if any(n + a + b + c * max(n - 1, 0) < 0 for n, (a, b, c) in zip(x.shape, config, strict=True)):
        raise Impossible
    fill = d.below(3) if x.dtype != "bool" else 1
    d.add(
        f"lax.pad({x.name}, np.asarray({fill}, {x.name}.dtype), {config})", x.bound and x.bound + 2
    )


def joined(d):
    x = d.value(lambda v: v.ndim > 0)
    k = d.axis(x, 0)
    least = [
        d.value(
            lambda v: (
                v.dtype == x.dtype
                and v.ndim == x.ndim
                and all(
                    a == b for j, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)) if j != k
                )
            )
        )
        for _ in range(d.one_of([1, 1, 2]))
    ]
    parts = [x, *least]
    d.dice.shuffle(parts)
    names = ", ".join(p.name for p in parts)
    whole = None if any(p.bound is None for p in parts) else max(p.bound for p in parts)
    if all(p.shape == x.shape for p in parts) and d.chance(0.3):
        d.add(f"np.stack([{names}], {k})", whole)
    else:
        d.add(f"np.concatenate([{names}], {k})", whole)


def moved(d):
    x = d.value(lambda v: v.ndim > 0)
    k = d.axis(x, 0)
    forms = [
        f"np.flip({x.name}, {k})",
        f"np.roll({x.name}, {d.one_of([1, 3, -2])}, {k})",
        f"np.repeat({x.name}, {d.one_of([2, 3])}, {k})",
        f"np.tile({x.name}, 2)",
        f"np.broadcast_to({x.name}, {(d.one_of([2, 3]), *x.shape)})",
        f"{x.name}[..., None]",
    ]
    d.add(d.one_of(forms), x.bound)


def places(d, extent, count):
    return [d.below(extent) - (extent if d.chance(0.2) else 0) for _ in range(count)]


def index(d, extent, unique=False):
    """The text of positions along an axis: a list, or made of integers in the program."""
    made = [v for v in d.values if v.is_integer and v.ndim <= 2 and 0 < v.size <= 200]
    if made and not unique and d.chance(0.5):
        x = d.one_of(made)
        return (
            f"{x.name} % {extent}" if x.dtype != "int8" or extent < 128 else f"abs({x.name} % 100)"
        )
    count = d.one_of([1, 3, 16, 40])
    if unique:
        drawn = d.dice.sample(range(extent), min(count, extent))
    else:
        drawn = places(d, extent, count)
    return f"numpy.array({drawn})"


def leading(k):
    return ":, " * k


def gathered(d):
    x = d.value(lambda v: v.ndim > 0 and v.size > 0)
    k = d.axis(x)
    d.add(f"{x.name}[{leading(k)}{index(d, x.shape[k])}]", x.bound)


def updated(d):
    x = d.value(lambda v: v.ndim > 0 and v.size > 0 and v.dtype != "bool")
    k = d.axis(x)
    how = d.one_of(["set", "add", "add", "multiply", "set"])
    at = f"{x.name}.at[{leading(k)}{index(d, x.shape[k], how != 'add')}]"
    if d.chance(0.3):
        start = d.below(x.shape[k])
        part = d.one_of([start, f"{start}:", f":{start + 1}:2", "::-1", f"1:{start}"])
        at = f"{x.name}.at[{leading(k)}{part}]"
    one = [v for v in d.values if v.ndim == 0 and v.dtype == x.dtype]
    what = d.one_of([v.name for v in one]) if one and d.chance(0.5) else d.one_of(["2", "3", "1"])
    bound = x.bound and (x.bound + 120 if how == "add" else 3 * x.bound + 3)
    promise = ", unique_indices=True" if how == "multiply" else ""
    d.add(f"{at}.{how}({what}{promise})", bound if what.isdigit() else None)


def updated_by_part(d):
    """Written over, or added to, by a value of the shape of the part."""
    x = d.value(lambda v: v.ndim > 0 and v.size > 0)
    y = d.value(
        lambda v: (
            v.dtype == x.dtype
            and v.ndim == x.ndim
            and v.size > 0
            and all(a <= b for a, b in zip(v.shape, x.shape, strict=True))
        )
    )
    starts = [d.below(a - b + 1) for a, b in zip(x.shape, y.shape, strict=True)]
    whole = None if x.bound is None or y.bound is None else x.bound + y.bound
    if d.chance(0.4):
        moving = scalar_place(d)
        where = ", ".join([moving, *(f"np.int32({s})" for s in starts[1:])])
        d.add(f"lax.dynamic_update_slice({x.name}, {y.name}, ({where},))", whole)
        return
    part = ", ".join(f"{s}:{s + n}" for s, n in zip(starts, y.shape, strict=True))
    how = "set" if x.dtype == "bool" else d.one_of(["set", "add"])
    d.add(f"{x.name}.at[{part}].{how}({y.name})", whole)


def scalar_place(d):
    made = [v for v in d.values if v.ndim == 0 and v.is_integer]
    if made and d.chance(0.7):
        return f"{d.one_of(made).name}.astype(np.int32)"
    return f"np.int32({d.below(3)})"


def dynamic_part(d):
    x = d.value(lambda v: v.ndim > 0 and v.size > 0)
    k = d.axis(x)
    n = d.one_of([m for m in (1, 2, 5, x.shape[k]) if m <= x.shape[k]])
    d.add(f"lax.dynamic_slice_in_dim({x.name}, {scalar_place(d)}, {n}, {k})", x.bound)


def along(d):
    """take_along_axis by positions made in the program, or by given ones."""
    x = d.value(lambda v: v.ndim > 0 and v.size > 0)
    k = d.axis(x)
    rest = (*x.shape[:k], *x.shape[k + 1 :])
    made = [v for v in d.values if v.dtype in ("int32", "int64") and v.ndim == x.ndim and v.size]
    made = [v for v in made if (*v.shape[:k], *v.shape[k + 1 :]) == rest]
    if made:
        i = d.one_of(made)
    else:
        i = d.new_input((*x.shape[:k], d.one_of([1, 3, 16]), *x.shape[k + 1 :]), "int32", 9)
    d.add(f"np.take_along_axis({x.name}, {i.name} % {x.shape[k]}, {k})", x.bound)


def summed_by_segment(d):
    x = d.value(lambda v: v.ndim > 0 and v.size > 0 and v.shape[0] < 300 and v.dtype != "bool")
    n = d.one_of([1, 3, 8, 33])
    ids = f"numpy.arange({x.shape[0]}) * {d.one_of([1, 3, 7])} % {n}"
    text = f"top.ops.segment_sum({x.name}, {ids}, {n})"
    d.add(text, x.bound and x.bound * x.shape[0])


def crossed(d):
    """Reads or updates at positions of two axes at once."""
    x = d.value(lambda v: v.ndim > 1 and v.size > 0 and v.dtype != "bool")
    j, k = sorted(d.dice.sample(range(x.ndim), 2))
    count = d.one_of([1, 3, 16])
    rows = f"numpy.array({places(d, x.shape[j], count)})"
    columns = f"numpy.array({places(d, x.shape[k], d.one_of([1, count]))})"
    if d.chance(0.3):
        rows = rows + "[:, None]"
    at = ", ".join(rows if n == j else columns if n == k else ":" for n in range(x.ndim))
    if d.chance(0.5):
        d.add(f"{x.name}[{at}]", x.bound)
    else:
        how = "add" if d.chance(0.7) or d.smooth else d.one_of(["min", "max"])
        d.add(f"{x.name}.at[{at}].{how}(2)", x.bound and x.bound + 40)


def enlarged(d):
    """An axis more, by an outer operation."""
    x = d.value(lambda v: v.ndim == 1 and v.is_float)
    y = d.value(lambda v: v.ndim == 1)
    if "cplx" in (x.dtype, y.dtype):
        raise Impossible
    d.add(
        f"{x.name}[:, None] - {y.name}[None, :]",
        None if None in (x.bound, y.bound) else x.bound + y.bound,
    )


STEPS = {
    "transposed": (transposed, 5),
    "reshaped": (reshaped, 5),
    "sliced": (sliced, 6),
    "padded": (padded, 4),
    "joined": (joined, 6),
    "moved": (moved, 4),
    "gathered": (gathered, 3),
    "updated": (updated, 4),
    "updated_by_part": (updated_by_part, 3),
    "dynamic_part": (dynamic_part, 2),
    "along": (along, 2),
    "summed_by_segment": (summed_by_segment, 2),
    "crossed": (crossed, 3),
    "enlarged": (enlarged, 1),
}
