"""Steps that work element by element: functions, operators, choices and casts."""

from .drawing import FLOATS, Impossible, dtype_text

# Keep numbers near 1; none has a kink or a jump.
SMOOTH = [
    "np.sin({})",
    "np.tanh({})",
    "np.exp(np.tanh({}))",
    "np.log1p({0} * {0})",
    "lax.rsqrt(1 + {0} * {0})",
    "np.sqrt(1 + {0} * {0})",
    "nn.sigmoid({})",
    "nn.gelu({})",
    "nn.softplus({})",
    "nn.silu({})",
    "lax.erf({})",
    "{} * 0.7",
    "{} + 0.3",
    "{} / 16",
    "1 / (1.5 + np.cos({}))",
    "np.tanh({}) ** 2",
    "np.expm1(np.sin({}))",
    "lax.stop_gradient({0}) + 0.5 * {0}",
    "np.arctan({})",
    "(1 + {0} * {0}) ** 0.3",
    "np.cosh(np.sin({}))",
]
KINKED = [
    "abs({})",
    "nn.relu({})",
    "nn.leaky_relu({})",
    "np.clip({}, -1, 2)",
    "np.maximum({}, 1)",
    "nn.elu({})",
]
JUMPING = [
    "np.floor({} / 2)",
    "np.sign({})",
    "np.round({} * 0.5)",
    "np.ceil({} * 0.25)",
    "np.trunc({} / 4)",
]
OF_INTEGERS = [
    "{} // 3",
    "{} % 5",
    "{} & 3",
    "{} ^ 1",
    "~{}",
    "-{}",
    "abs({})",
    "{} >> 1",
    "{} * 3",
    "lax.population_count({})",
]
COMPARISONS = ["<", "<=", ">", "==", "!="]


def smooth(d):
    d.add(d.one_of(SMOOTH).format(d.rounded().name))


def kinked(d):
    x = d.bent(lambda v: v.is_float)
    text = d.one_of(KINKED[:-1] if x.bound is None else KINKED)
    # leaky_relu and elu multiply by what is not whole.
    whole = x.bound if "leaky" not in text and "elu" not in text[3:6] else None
    d.add(text.format(x.name), whole)


def jumping(d):
    x = d.whole(lambda v: v.is_float)
    d.add(d.one_of(JUMPING).format(x.name), x.bound + 1)


def of_integers(d):
    x = d.value(lambda v: v.is_integer)
    d.add(d.one_of(OF_INTEGERS).format(x.name))


def of_complex(d):
    z = d.value(lambda v: v.dtype == "cplx")
    d.add(
        d.one_of(
            [
                "{} * (0.5 - 0.5j)",
                "np.conj({})",
                "np.exp({} * 0.25j)",
                "np.real({})",
                "np.imag({})",
                "{0} * {0} / 2",
                "1 / (3 + np.real({0}) ** 2 + 1j * np.imag({0}))",
                "np.imag({}) * 1j",
            ]
        ).format(z.name)
    )


def complex_of(d):
    if d.narrow:
        raise Impossible
    x = d.value(lambda v: v.dtype == "real")
    y = d.value(lambda v: v.dtype == "real" and broadcast(v.shape, x.shape) == x.shape)
    d.add(f"{x.name} + 1j * {y.name}")


def broadcast(s, t):
    """The shape of both together, None where there is none."""
    out = []
    for k in range(1, max(len(s), len(t)) + 1):
        a, b = (u[-k] if k <= len(u) else 1 for u in (s, t))
        if a != b and 1 not in (a, b):
            return None
        out.append(b if a == 1 else a)
    return tuple(reversed(out))


def pair(d, wanted, other=None):
    """Two values that go together by broadcasting."""
    x = d.value(wanted)
    y = d.value(lambda v: (other or wanted)(v) and broadcast(v.shape, x.shape) is not None)
    return (x, y) if d.chance(0.5) else (y, x)


def binary(d):
    x, y = pair(d, lambda v: v.dtype != "bool")
    whole = None if x.bound is None or y.bound is None else x.bound + y.bound
    if whole is not None and d.chance(0.3):
        d.add(f"{x.name} * {y.name}", x.bound * y.bound)
    elif x.is_integer and y.is_integer:
        d.add(f"{x.name} {d.one_of('+-*')} {y.name}")
    elif d.chance(0.5):
        d.add(f"{x.name} {d.one_of('+-')} {y.name}", whole)
    else:
        x, y = pair(d, lambda v: v.is_float)
        forms = [
            "np.tanh({}) * {}",
            "{0} / (1.5 + {1} * {1})",
            "np.arctan2({0}, 1.5 + {1} * {1})",
            "0.5 * ({} + {})",
            "{} * nn.sigmoid({})",
            "np.hypot(1 + {0} * {0}, {1})",
        ]
        d.add(d.one_of(forms).format(x.name, y.name))


def greater(d):
    x, y = pair(d, lambda v: (v.is_whole or not d.smooth) and v.dtype != "cplx")
    whole = None if x.bound is None or y.bound is None else max(x.bound, y.bound)
    d.add(f"np.{d.one_of(['maximum', 'minimum'])}({x.name}, {y.name})", whole)


def of_bits(d):
    x, y = pair(d, lambda v: v.is_integer or v.dtype == "bool")
    d.add(f"{x.name} {d.one_of('&|^')} {y.name}")


def compared(d):
    x, y = pair(d, lambda v: v.is_whole)
    if d.chance(0.5):
        d.add(f"{x.name} {d.one_of(COMPARISONS)} {d.below(4)}")
    else:
        d.add(f"{x.name} {d.one_of(COMPARISONS)} {y.name}")


def chosen(d):
    p = d.value(lambda v: v.dtype == "bool")
    x = d.value(lambda v: broadcast(v.shape, p.shape) is not None)
    if d.chance(0.4):
        other = d.one_of(["0", "1", "-2"]) if x.dtype not in ("uint8", "bool") else "0"
        d.add(f"np.where({p.name}, {x.name}, {other})", x.bound and x.bound + 2)
        return
    both = broadcast(x.shape, p.shape)
    y = d.value(lambda v: v.dtype == x.dtype and broadcast(v.shape, both) is not None)
    whole = None if x.bound is None or y.bound is None else max(x.bound, y.bound)
    d.add(f"np.where({p.name}, {x.name}, {y.name})", whole)


def cast(d):
    x = d.value(lambda v: v.dtype != "cplx")
    if x.is_integer and d.chance(0.6):
        d.add(f"({x.name} % 9).astype({d.one_of(FLOATS)})", 9)
    elif x.is_integer or x.dtype == "bool":
        d.add(f"{x.name}.astype({dtype_text(d.one_of(['int8', 'uint8', 'int32', 'bool']))})")
    elif x.bound is not None and d.chance(0.6):
        kinds = ["int32", "int8", "bool_"] if x.bound < 128 else ["int32"]
        d.add(f"{x.name}.astype(np.{d.one_of(kinds)})")
    elif x.is_float:
        d.add(f"{x.name}.astype({d.one_of(FLOATS)})", x.bound)
    else:
        raise Impossible


STEPS = {
    "smooth": (smooth, 8),
    "kinked": (kinked, 3),
    "jumping": (jumping, 3),
    "of_integers": (of_integers, 3),
    "of_complex": (of_complex, 3),
    "complex_of": (complex_of, 1),
    "binary": (binary, 8),
    "greater": (greater, 3),
    "of_bits": (of_bits, 2),
    "compared": (compared, 3),
    "chosen": (chosen, 4),
    "cast": (cast, 4),
}
