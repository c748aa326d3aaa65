"""netket: the ground state of a chain of spins by Monte Carlo and stochastic reconfiguration."""

import netket as nk

space = nk.hilbert.Spin(0.5, 6)
energy = nk.operator.IsingJax(space, nk.graph.Chain(6), h=1.0)
network = nk.models.RBM(alpha=1, param_dtype=float)
sampler = nk.sampler.MetropolisLocal(space, n_chains=16)
state = nk.vqs.MCState(sampler, network, n_samples=256, seed=1, sampler_seed=2)
solver = nk.optimizer.SR(diag_shift=0.1)
driver = nk.VMC(energy, nk.optimizer.Sgd(0.05), variational_state=state, preconditioner=solver)
first = state.expect(energy).mean
driver.run(20, out=nk.logging.RuntimeLog(), show_progress=False)
last = state.expect(energy).mean
lowest = nk.exact.lanczos_ed(energy)[0]
assert lowest - 0.1 < last < first - 0.5, (first, last, lowest)
