"""Random texts: what the compiler makes of them on this processor is what the emulator does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from funcgrad.kernels.cuda.emulator import Emulator

from ..drawn import examples
from .processor import Processors

LANES = 32
# Arrays that are read, and those that get what is computed.
GIVEN = {"a": "int64", "u": "uint32", "f": "float64"}
MADE = {"c": "int64", "w": "uint32", "d": "float64", "t": "uint8"}
# Few names: they are used again in bodies that are closed, for numbers of other types.
NAMES = ("m", "n", "p", "q")
HELPERS = """@device
def twisted(x, y):
    if x < y:
        return y - x
    while x > 50:
        x = x // 3
        if x == 20:
            break
    return x + 1


@device
def parted(x, y):
    for k in range(3):
        if k == y:
            return x, k
    return x - y, y
"""

I, U, F, B = "int64", "uint32", "float64", "bool_"
LITERALS = {
    I: ["3", "0", "-7", "i", "cuda.threadIdx.x", "int64(5)"],
    U: ["uint32(7)", "uint32(0xFFFFFFFF)"],
    F: ["0.5", "float64(3)", "-2.0"],
    B: ["i < 7", "True"],
}
# What expressions are made of.
WAYS = {
    I: [
        *((f"({{}} {op} {{}})", I, I) for op in "+ - & | ^".split()),
        *((f"({{}}) {op} ({{}} | 1)", I, I) for op in ("//", "%")),
        *((f"({{}}) {op} (a[i] % 3)", I) for op in ("//", "%")),
        *((f"{f}({{}}, {{}})", I, I) for f in ("min", "max")),
        *((f"{f}({{}})", I) for f in ("abs", "-", "~")),
        ("({} * {}) % 1009", I, I),
        ("({} // -3)", I),
        ("({} % 8)", I),
        ("({} >> 2)", I),
        ("({} << 3)", I),
        ("int64({} >> uint32({bits}))", U),
        ("int64({})", B),
        ("int64(int8({}))", I),
        ("int64(uint16({}))", I),
        ("twisted(int64({}), int64({}))", I, I),
        ("a[i]",),
        (f"a[({{}}) % {LANES}]", I),
        ("({} if {} else {})", I, B, I),
        ("(a[i] if {} else {})", B, I),
    ],
    U: [
        *((f"uint32({{}} {op} {{}})", U, U) for op in "+ - * & | ^".split()),
        *((f"uint32({{}} {op} uint32({{bits}}))", U) for op in ("<<", ">>")),
        ("uint32({})", I),
        ("u[i]",),
        (f"u[({{}}) % {LANES}]", I),
        ("({} if {} else {})", U, B, U),
    ],
    F: [
        *((f"({{}} {op} {{}})", F, F) for op in "+ - * /".split()),
        *((f"{f}({{}})", F) for f in ("abs", "-")),
        ("float64({})", I),
        ("float64({})", U),
        ("f[i]",),
        (f"f[({{}}) % {LANES}]", I),
        ("({} if {} else {})", F, B, F),
        ("(f[i] if {} else {})", B, F),
    ],
    B: [
        *((f"{{}} {op} {{}}", k, k) for op in "< <= > >= == !=".split() for k in (I, F)),
        ("{} < {}", U, U),
        ("({} and {})", B, B),
        ("({} or {})", B, B),
        ("({} and a[i] > {})", B, I),
        ("({} or f[i] > {})", B, F),
        ("(not {})", B),
        ("bool({})", I),
        ("({}) != 0.5", F),
    ],
}


class Writer:
    """Writes a kernel: what is read was written before, in a body that is still open."""

    def __init__(self, draw):
        self.draw = draw
        self.lines = []
        self.scopes = [{}]
        self.kept = set()  # the counters of loops
        self.count = 0

    def below(self, n):
        return self.draw(st.integers(0, n - 1))

    def pick(self, options):
        return options[self.below(len(options))]

    def line(self, text):
        self.lines.append("    " * len(self.scopes) + text)

    # Expressions.

    def seen(self, kind):
        return [n for s in self.scopes for n, k in s.items() if k == kind]

    def leaf(self, kind):
        known = self.seen(kind)
        if known and self.below(3):
            name = self.pick(known)
            return f"uint32({name})" if kind == "uint32" else name
        return self.pick(LITERALS[kind])

    def number(self, kind, depth=2):
        """An expression of a kind; integers stay small, so that places do not overflow."""
        if depth <= 0 or not self.below(4):
            return self.leaf(kind)
        text, *parts = self.pick(WAYS[kind])
        return text.format(*(self.number(p, depth - 1) for p in parts), bits=self.below(31))

    # Statements.

    def target(self, kind):
        """A name that may get a number of a kind here."""
        free = [n for n in NAMES if all(s.get(n, kind) == kind for s in self.scopes)]
        free = [n for n in free if n not in self.kept]
        return self.pick(free) if free else None

    def note(self, name, kind):
        if all(name not in s for s in self.scopes):
            self.scopes[-1][name] = kind

    def bounded(self, kind, depth=3):
        if kind != I or not self.below(4):
            return self.leaf(kind) if kind == I else self.number(kind, depth)
        return f"({self.number(I, depth)}) % 100003"

    def assign(self, loops):
        kind = self.pick(["int64", "int64", "uint32", "float64", "bool_"])
        name = self.target(kind)
        if name is not None:
            self.line(f"{name} = {self.bounded(kind)}")
            self.note(name, kind)

    def assign_both(self, loops):
        kinds = self.pick([("int64", "int64"), ("float64", "int64"), ("uint32", "float64")])
        names = [self.target(k) for k in kinds]
        if None in names or len({*names}) < 2:
            return
        self.line(f"{', '.join(names)} = {', '.join(self.bounded(k, 2) for k in kinds)}")
        for name, kind in zip(names, kinds, strict=True):
            self.note(name, kind)

    def call(self, loops):
        names = [self.target("int64") for _ in range(2)]
        if None in names or len({*names}) < 2:
            return
        self.line(f"{', '.join(names)} = parted({self.leaf('int64')}, {self.number('int64', 1)})")
        for name in names:
            self.note(name, "int64")

    def add(self, loops):
        known = [n for n in self.seen("int64") if n not in self.kept]
        if known:
            name = self.pick(known)
            self.line(f"{name} {self.pick('+-')}= {self.number('int64', 2)}")
            self.line(f"{name} = {name} % 100003")

    def store(self, loops):
        name = self.pick(list(MADE))
        self.keep(name, self.number(B if name == "t" else MADE[name]))

    def keep(self, name, code):
        self.line(f"{name}[i] = {MADE[name]}({code})")

    def inside(self, loops, first=()):
        self.scopes.append(dict(first))
        self.kept |= {n for n, _ in first}
        self.body(loops)
        self.kept -= {n for n, _ in first}

    def choice(self, loops):
        self.line(f"if {self.number('bool_')}:")
        self.inside(loops)
        if loops and not self.below(3):
            self.line("break")
        self.scopes.pop()
        if self.below(2):
            self.line("else:")
            self.inside(loops)
            self.scopes.pop()

    def loop(self, loops):
        name = self.target("int64")
        if name is None or loops > 1:
            return
        bounds = self.pick(["4", "-2, 3", "i // 16, 3", self.leaf("int64") + " % 4"])
        self.line(f"for {name} in range({bounds}):")
        self.inside(loops + 1, [(name, "int64")])
        self.scopes.pop()

    def turns(self, loops):
        if loops > 1:
            return
        self.count += 1
        name = f"turn{self.count}"
        self.line(f"{name} = {self.pick(['0', 'i % 3'])}")
        self.scopes[-1][name] = "int64"
        self.kept.add(name)
        self.line(f"while {name} < 4 and {self.number('bool_')}:")
        self.inside(loops + 1)
        self.line(f"{name} += 1")
        self.scopes.pop()

    def body(self, loops):
        deep = len(self.scopes) > 4
        ways = [self.assign, self.assign, self.assign_both, self.add, self.store, self.call]
        ways += [] if deep else [self.choice, self.loop, self.turns, self.choice]
        self.store(loops)
        for _ in range(1 + self.below(4)):
            self.pick(ways)(loops)

    def text(self):
        self.line("i = cuda.threadIdx.x")
        self.scopes[0]["i"] = "int64"
        self.kept.add("i")
        for _ in range(3):
            self.body(0)
        for name, kind in MADE.items():
            for known in self.seen(B if name == "t" else kind):
                self.keep(name, known)
        params = ", ".join([*GIVEN, *MADE])
        body = "\n".join(self.lines)
        return f"{HELPERS}\n\n@kernel\ndef k({params}):\n{body}\n"


@st.composite
def texts(draw):
    return Writer(draw).text()


def outputs(how, text):
    rng = np.random.default_rng(1)
    arrays = [
        rng.integers(-300, 300, LANES),
        rng.integers(0, 2**32, LANES, np.uint32),
        rng.normal(size=LANES) * 9,
        *(np.zeros(LANES, kind) for kind in MADE.values()),
    ]
    how(text).launch("k", 1, LANES, arrays)
    return arrays[len(GIVEN) :]


@examples(40)
@given(texts())
def test_random_texts(text):
    for got, want in zip(outputs(Processors, text), outputs(Emulator, text), strict=True):
        np.testing.assert_array_equal(got, want, text)
