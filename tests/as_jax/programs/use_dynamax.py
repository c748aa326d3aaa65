"""dynamax: a hidden Markov model by expectation maximization, and a Kalman smoother."""

import dynamax.hidden_markov_model as hidden
import jax.random as jr
from dynamax.linear_gaussian_ssm import LinearGaussianSSM

model = hidden.GaussianHMM(3, 2)
params, kinds = model.initialize(jr.key(0))
states, seen = model.sample(params, jr.key(1), 50)
fitted, likelihoods = model.fit_em(params, kinds, seen, num_iters=5, verbose=False)
assert likelihoods[-1] > likelihoods[0]
assert (model.most_likely_states(params, seen) == states).mean() > 0.9
linear = LinearGaussianSSM(2, 3)
params, _ = linear.initialize(jr.key(2))
hidden_states, seen = linear.sample(params, jr.key(3), 30)
smoothed = linear.smoother(params, seen)
assert abs(smoothed.marginal_loglik - linear.marginal_log_prob(params, seen)) < 1e-2
assert abs(smoothed.smoothed_means - hidden_states).mean() < 0.5
