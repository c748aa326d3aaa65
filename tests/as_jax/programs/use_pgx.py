"""pgx: several games at once, each move legal, until nobody may move."""

import jax
import jax.numpy as jnp
import pgx

for name in ("tic_tac_toe", "connect_four", "go_9x9"):
    game = pgx.make(name)
    state = jax.jit(jax.vmap(game.init))(jax.random.split(jax.random.PRNGKey(0), 4))
    step = jax.jit(jax.vmap(game.step))
    for turn in range(9):
        key = jax.random.fold_in(jax.random.PRNGKey(1), turn)
        legal = state.legal_action_mask
        state = step(state, jnp.argmax(legal * jax.random.uniform(key, legal.shape), -1))
    assert (state.rewards.sum(-1) == 0).all()
    assert name != "tic_tac_toe" or state.terminated.all()
