"""qdax: an archive of arms filled by MAP-Elites, its generations scanned."""

import functools

import jax
import numpy as np
from qdax.core.containers.mapelites_repertoire import (
    compute_cvt_centroids,
    compute_euclidean_centroids,
)
from qdax.core.emitters.mutation_operators import isoline_variation
from qdax.core.emitters.standard_emitters import MixingEmitter
from qdax.core.map_elites import MAPElites
from qdax.tasks.arm import arm_scoring_function
from qdax.utils.metrics import default_qd_metrics

key, first = jax.random.split(jax.random.key(0))
vary = functools.partial(isoline_variation, iso_sigma=0.05, line_sigma=0.1, minval=0.0, maxval=1.0)
elites = MAPElites(
    scoring_function=arm_scoring_function,
    emitter=MixingEmitter(
        mutation_fn=None, variation_fn=vary, variation_percentage=1.0, batch_size=100
    ),
    metrics_function=functools.partial(default_qd_metrics, qd_offset=1.0),
)
grid = compute_euclidean_centroids(grid_shape=(20, 20), minval=0.0, maxval=1.0)
assert grid.shape == (400, 2)
archive, state, *_ = elites.init(jax.random.uniform(first, (100, 8)), grid, key)
(archive, _, _), metrics = jax.lax.scan(elites.scan_update, (archive, state, key), (), length=50)
scores = np.asarray(metrics["qd_score"])
assert (np.diff(scores) >= -1e-3).all(), scores
assert metrics["coverage"][-1] > 70, metrics["coverage"]
assert -0.1 < archive.fitnesses.max() <= 0
cells = compute_cvt_centroids(
    num_descriptors=2, num_init_cvt_samples=500, num_centroids=10, minval=0.0, maxval=1.0, key=key
)
assert cells.shape == (10, 2)
assert ((cells > 0) & (cells < 1)).all()
