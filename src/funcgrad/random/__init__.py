"""Random numbers by explicit keys: the same key gives the same numbers.

`key(seed)` makes a key, `split` makes new ones of it, every sampler takes one. The streams are
those of JAX's default generator.
"""

from __future__ import annotations

from ..primitives.random_gamma import random_gamma_p as random_gamma_p
from .categorical import categorical as categorical
from .categorical import choice as choice
from .categorical import gumbel as gumbel
from .continuous import cauchy as cauchy
from .continuous import double_sided_maxwell as double_sided_maxwell
from .continuous import exponential as exponential
from .continuous import laplace as laplace
from .continuous import logistic as logistic
from .continuous import lognormal as lognormal
from .continuous import maxwell as maxwell
from .continuous import pareto as pareto
from .continuous import rayleigh as rayleigh
from .continuous import triangular as triangular
from .continuous import wald as wald
from .continuous import weibull_min as weibull_min
from .counts import binomial as binomial
from .counts import multinomial as multinomial
from .counts import poisson as poisson
from .discrete import geometric as geometric
from .discrete import rademacher as rademacher
from .gamma import ball as ball
from .gamma import beta as beta
from .gamma import chisquare as chisquare
from .gamma import dirichlet as dirichlet
from .gamma import f as f
from .gamma import gamma as gamma
from .gamma import generalized_normal as generalized_normal
from .gamma import loggamma as loggamma
from .gamma import t as t
from .keys import PRNGKey as PRNGKey
from .keys import clone as clone
from .keys import fold_in as fold_in
from .keys import key as key
from .keys import key_data as key_data
from .keys import key_dtype as key_dtype
from .keys import key_impl as key_impl
from .keys import split as split
from .keys import wrap_key_data as wrap_key_data
from .multivariate import multivariate_normal as multivariate_normal
from .multivariate import orthogonal as orthogonal
from .uniform import bernoulli as bernoulli
from .uniform import bits as bits
from .uniform import normal as normal
from .uniform import permutation as permutation
from .uniform import randint as randint
from .uniform import truncated_normal as truncated_normal
from .uniform import uniform as uniform
