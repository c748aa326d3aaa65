"""evosax: CMA-ES and particle swarms find the bottom of a bowl, their generations scanned."""

import jax
import jax.numpy as jnp
from evosax.algorithms import CMA_ES, PSO


def bowl(population):
    return jnp.sum(population**2, -1)


key = jax.random.key(0)
for algorithm in (CMA_ES, PSO):
    strategy = algorithm(population_size=16, solution=jnp.zeros(3))
    params = strategy.default_params
    if algorithm is CMA_ES:
        state = strategy.init(key, jnp.ones(3), params)
    else:
        population = jax.random.normal(key, (16, 3))
        state = strategy.init(key, population, bowl(population), params)

    def generation(state, key, strategy=strategy, params=params):
        population, state = strategy.ask(key, state, params)
        fitness = bowl(population)
        state, _ = strategy.tell(key, population, fitness, state, params)
        return state, fitness.min()

    _, best = jax.lax.scan(generation, state, jax.random.split(key, 30))
    assert best[-1] < 1e-3 < best[0], (algorithm, best)
