"""A program written for JAX and optax: trains a small network by many optimizers, prints JSON."""

import json
import sys

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import optax

rng = np.random.default_rng(0)
x = jnp.asarray(rng.normal(size=(32, 4)), jnp.float32)
y = jnp.sin(x @ jnp.asarray(rng.normal(size=(4, 2)), jnp.float32))
start = {
    "w1": jnp.asarray(rng.normal(size=(4, 8)) * 0.5, jnp.float32),
    "b1": jnp.zeros(8),
    "w2": jnp.asarray(rng.normal(size=(8, 2)) * 0.5, jnp.float32),
    "b2": jnp.zeros(2),
}


def loss(params):
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    return jnp.mean(optax.squared_error(hidden @ params["w2"] + params["b2"], y))


assert jaxlib.__version__
schedule = optax.warmup_cosine_decay_schedule(0.0, 0.1, 5, 40)
OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.05),
    "adamw": optax.adamw(0.05, weight_decay=1e-3),
    "lamb": optax.lamb(0.05),
    "lion": optax.lion(0.01),
    "adafactor": optax.adafactor(0.05, min_dim_size_to_factor=4),
    "rmsprop": optax.rmsprop(0.01, centered=True),
    "radam": optax.radam(0.1),
    "adabelief": optax.adabelief(0.05),
    "multi_steps": optax.MultiSteps(optax.adam(0.1), every_k_schedule=2),
    "schedule_and_clip": optax.chain(optax.clip_by_global_norm(0.5), optax.adam(schedule)),
    "masked": optax.partition(
        {"weight": optax.adam(0.05), "bias": optax.sgd(0.1)},
        {name: "bias" if name.startswith("b") else "weight" for name in start},
    ),
}


def losses_of(optimizer, steps=20):
    params, state = start, optimizer.init(start)

    @jax.jit
    def step(params, state):
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    values = []
    for _ in range(steps):
        params, state, value = step(params, state)
        values.append(float(value))
    return [*values, float(loss(params))]


def losses_of_lbfgs(steps=6):
    optimizer = optax.lbfgs(memory_size=4)
    value_and_grad = optax.value_and_grad_from_state(loss)

    @jax.jit
    def step(params, state):
        value, grad = value_and_grad(params, state=state)
        updates, state = optimizer.update(
            grad, state, params, value=value, grad=grad, value_fn=loss
        )
        return optax.apply_updates(params, updates), state, value

    params, state, values = start, optimizer.init(start), []
    for _ in range(steps):
        params, state, value = step(params, state)
        values.append(float(value))
    return [*values, float(loss(params))]


named = sys.argv[1:] or [*OPTIMIZERS, "lbfgs"]
found = {n: losses_of_lbfgs() if n == "lbfgs" else losses_of(OPTIMIZERS[n]) for n in named}
loaded = [
    m.__name__
    for m in sys.modules.values()
    if "/site-packages/jax" in str(m.__dict__.get("__file__"))
]
json.dump(
    {"losses": found, "loaded": [n for n in loaded if not n.startswith("jaxtyping")]}, sys.stdout
)
