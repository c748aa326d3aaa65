"""einops: axes by name, on arrays and under jit."""

import jax
import jax.numpy as jnp
from einops import einsum, pack, rearrange, reduce, repeat, unpack

x = jnp.arange(24.0).reshape(2, 3, 4)
assert rearrange(x, "b h w -> (b w) h").shape == (8, 3)
assert jnp.array_equal(jax.jit(lambda a: reduce(a, "b h w -> b w", "max"))(x), x.max(1))
assert jnp.array_equal(repeat(x, "b h w -> b (h k) w", k=2), jnp.repeat(x, 2, 1))
assert jnp.allclose(einsum(x, x, "b h w, b k w -> b h k"), x @ x.transpose(0, 2, 1))
joined, shapes = pack([x, x[:, 0]], "b *")
assert [part.shape for part in unpack(joined, shapes, "b *")] == [(2, 3, 4), (2, 4)]
