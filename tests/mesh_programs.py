"""Programs over meshes of four devices that must mean here what they mean in JAX.

Run as a script, it computes them by JAX on four CPU devices and writes the results to a file.
"""

import sys

import numpy as np

X = np.linspace(-1.0, 2.0, 24, dtype=np.float32).reshape(8, 3)
W = np.array([0.5, -1.0, 2.0], np.float32)
Y = np.linspace(0.0, 1.0, 8, dtype=np.float32)
RING = [(i, (i + 1) % 4) for i in range(4)]


PAIRS = [[0, 2], [3, 1]]


def grouped(fg, np_, over, two, square):
    """Collectives of groups within an axis, or within two of them."""
    lax, P = fg.lax, fg.P

    def each(f, **options):
        return over(f, P("i"), P("i"), check_vma=False, **options)

    in_pairs = {"axis_index_groups": PAIRS}
    for name in ("psum", "pmax", "pmin", "pmean"):
        f = getattr(lax, name)
        yield f"{name} of pairs", each(lambda x, f=f: f(x, "i", **in_pairs))(X)
    uneven = [[1], [3, 0, 2]]
    yield "psum of uneven groups", each(lambda x: lax.psum(x, "i", axis_index_groups=uneven))(X)
    yield "psum of a number", each(lambda x: x * lax.psum(1, "i", **in_pairs))(X)
    yield "gather of pairs", each(lambda x: lax.all_gather(x, "i", axis=1, **in_pairs))(X)
    tiled = each(lambda x: lax.all_gather(x, "i", tiled=True, **in_pairs))
    yield "gather of pairs, tiled", tiled(X)
    scatter = each(lambda x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True, **in_pairs))
    yield "scatter in pairs", scatter(square)
    yield "scatter in pairs, untiled", each(lambda x: lax.psum_scatter(x, "i", **in_pairs))(X)
    exchange = each(lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True, **in_pairs))
    yield "exchange in pairs", exchange(square)
    yield "swap in pairs", each(lambda x: lax.pswapaxes(x, "i", 0, **in_pairs))(X)
    both = over(
        lambda x: lax.psum(x, ("b", "a"), axis_index_groups=[[0, 3], [2, 1]]),
        P(("a", "b")),
        P(("a", "b")),
        mesh=two,
        check_vma=False,
    )
    yield "pairs over both axes", both(X)

    def energy(x):
        y = lax.psum_scatter(np_.sin(x), "i", scatter_dimension=1, tiled=True, **in_pairs)
        y = y * lax.psum(y, "i", **in_pairs)
        y = lax.all_to_all(
            lax.all_gather(y * y, "i", tiled=True, **in_pairs), "i", 0, 0, tiled=True, **in_pairs
        )
        return lax.psum(np_.sum(y), "i")

    slope = fg.grad(over(energy, P("i"), P(), check_vma=False))
    yield "grad through pairs", slope(square / 64)
    yield "jit of pairs", fg.jit(each(lambda x: lax.psum(x, "i", **in_pairs) * x))(X)
    rows = X.reshape(4, 2, 3)
    yield "pmap", fg.pmap(lambda x: lax.psum(x, "k", **in_pairs), axis_name="k")(rows)


def programs(fg, np_):
    """Name and result of each; `fg` is jax or funcgrad."""
    lax, P = fg.lax, fg.P
    flat = np.empty(4, object)
    for k, d in enumerate(fg.devices()[:4]):
        flat[k] = d
    one, two = fg.sharding.Mesh(flat, ("i",)), fg.sharding.Mesh(flat.reshape(2, 2), ("a", "b"))

    def over(f, ins, outs, mesh=one, **options):
        return fg.shard_map(f, mesh=mesh, in_specs=ins, out_specs=outs, **options)

    def loss(w, x, y):
        return lax.pmean(np_.mean((np_.tanh(x @ w) - y) ** 2), "i")

    whole = over(loss, (P(), P("i"), P("i")), P())
    plain = {"check_vma": False}
    yield "psum", over(lambda x: lax.psum(x, "i"), P("i"), P())(X)
    yield "pmax", over(lambda x: lax.pmax(x, "i"), P("i"), P())(X)
    yield "pmin", over(lambda x: lax.pmin(x * x, "i"), P("i"), P())(X)
    yield "pmean of rows", over(lambda x: lax.pmean(x, "i"), P("i"), P())(X)
    yield "index", over(lambda x: x + lax.axis_index("i"), P("i"), P("i"))(X)
    yield "gather", over(lambda x: lax.all_gather(x, "i"), P("i"), P(), **plain)(X)
    tiled = over(lambda x: lax.all_gather(x, "i", axis=1, tiled=True), P("i"), P("i"))
    yield "gather tiled", tiled(X)
    yield "ring", over(lambda x: lax.ppermute(x, "i", RING), P("i"), P("i"))(X)
    yield "some", over(lambda x: lax.ppermute(x, "i", [(0, 2), (3, 1)]), P("i"), P("i"))(X)
    square = np.arange(64.0, dtype=np.float32).reshape(8, 8)
    exchange = over(lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True), P("i"), P(None, "i"))
    yield "exchange", exchange(square)
    scatter = over(
        lambda x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True), P("i"), P("i")
    )
    yield "scatter", scatter(square)
    yield (
        "columns",
        over(lambda x: lax.psum(x.sum(), ("a", "b")), P("a", "b"), P(), mesh=two)(square),
    )
    both = over(lambda x: lax.psum(x, "a"), P("b", "a"), P("b"), mesh=two)
    yield "one of two axes", both(square)
    yield (
        "both on one",
        over(lambda x: x * lax.axis_index("b"), P(("a", "b")), P(("a", "b")), mesh=two)(X),
    )
    yield (
        "swapped",
        over(lambda x: x * lax.axis_index("b"), P(("b", "a")), P(("b", "a")), mesh=two)(X),
    )
    gathered = over(lambda x: lax.all_gather(x, ("a", "b")), P(("a", "b")), P(), mesh=two, **plain)
    yield "gather over both", gathered(X)
    yield "loss", whole(W, X, Y)
    yield "grad through", fg.grad(whole)(W, X, Y)
    yield "grad by data", fg.grad(whole, argnums=1)(W, X, Y)
    yield "jit of grad", fg.jit(fg.grad(whole))(W, X, Y)
    yield "grad of jit", fg.grad(fg.jit(whole))(W, X, Y)
    yield "hessian", fg.hessian(whole)(W, X, Y)
    yield "jvp", fg.jvp(whole, (W, X, Y), (W + 1, X * X, Y))[1]
    unchecked = over(loss, (P(), P("i"), P("i")), P(), **plain)
    yield "grad unchecked", fg.grad(unchecked)(W, X, Y)
    varied = over(
        lambda w, x: lax.psum(np_.sum(lax.pcast(w, "i", to="varying") * x), "i"), (P(), P("i")), P()
    )
    yield "grad of a value that was made varying", fg.grad(varied)(W, X)
    turns = over(
        lambda w, x: lax.psum(
            lax.scan(
                lambda c, v: (c + fg.jit(lambda w: lax.pcast(w, "i", to="varying"))(w) @ v, None),
                lax.pcast(np_.float32(0), "i", to="varying"),
                x,
            )[0],
            "i",
        ),
        (P(), P("i")),
        P(),
    )
    yield "grad of varying values inside of loops", fg.grad(turns)(W, X)
    descent = over(
        lambda w, x: w - lax.psum(fg.grad(lambda v: np_.sum(v * x))(w), "i") / 4,
        (P(), P("i")),
        P(),
        **plain,
    )
    yield "grad of a step of descent", fg.grad(lambda w, x: np_.sum(descent(w, x) ** 2))(W, X)
    explicit = over(
        lambda w, x: fg.grad(lambda v: np_.sum(lax.pcast(v, "i", to="varying") * x))(w),
        (P(), P("i")),
        P(),
    )
    yield "grad inside by a varying value", explicit(W, X)
    whole_of = fg.grad(lambda w, x: np_.sum(explicit(w * w, np_.sin(x) * w) ** 2))
    yield "grad of grad inside by a varying value", whole_of(W, X)
    yield from grouped(fg, np_, over, two, square)
    inside = over(
        lambda w, x, y: lax.pmean(fg.grad(lambda w: np_.mean((x @ w - y) ** 2))(w), "i"),
        (P(), P("i"), P("i")),
        P(),
        **plain,
    )
    yield "grad inside", inside(W, X, Y)
    yield "vmap", fg.vmap(whole, in_axes=(0, None, None))(np.stack([W, 2 * W]), X, Y)
    yield "vmap of data", fg.vmap(whole, in_axes=(None, 2, None))(W, np.stack([X, -X], 2), Y)
    batched = over(lambda x: lax.ppermute(fg.vmap(np_.cumsum)(x), "i", RING), P("i"), P("i"))
    yield "vmap inside", batched(X)
    looped = over(
        lambda x: lax.scan(lambda c, v: (c + lax.psum(v, "i"), c * 1.0), x[0] * 0, x)[0][None],
        P("i"),
        P("i"),
        **plain,
    )
    yield "scan", looped(X)
    yield "grad of scan", fg.grad(lambda x: (looped(x) ** 2).sum())(X)
    kept = over(lambda w, x: np_.sin(x * w), (P(), P("i")), P("i"))
    for k, ct in enumerate(fg.vjp(kept, W, X)[1](X)):
        yield f"vjp {k}", ct
    yield "closed over", over(lambda x: x * W, P("i"), P("i"))(X)
    rows = X.reshape(4, 2, 3)
    yield "pmap", fg.pmap(lambda x: x / lax.psum(x, "k"), axis_name="k")(rows)
    yield "pmap of two", fg.pmap(lambda x, y: x * y.sum(), in_axes=(0, None))(rows[:2], Y)
    yield "pmap axes", fg.pmap(lambda x: x * 2, in_axes=1, out_axes=1)(X.reshape(2, 4, 3))
    tree = fg.pmap(lambda d, k: {"a": d["a"] + k, "b": lax.axis_index("q")}, axis_name="q")
    yield "pmap of trees", tree({"a": rows}, np.arange(4))["a"]
    mapped = fg.pmap(lambda w, x: lax.pmean((x @ w).sum(), "k"), axis_name="k", in_axes=(None, 0))
    yield "grad of pmap", fg.grad(lambda w: mapped(w, rows)[0] ** 2)(W)
    static = fg.pmap(lambda x, n: x**n, static_broadcasted_argnums=1)
    yield "pmap static", static(rows, 3)


def main(path):
    import jax
    import jax.numpy as jnp

    np.savez(path, **{name: np.asarray(value) for name, value in programs(jax, jnp)})


if __name__ == "__main__":
    main(sys.argv[1])
