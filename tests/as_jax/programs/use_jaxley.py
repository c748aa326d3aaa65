"""jaxley: a neuron of Hodgkin and Huxley fires when it is given a current."""

import jaxley as jx
from jaxley.channels import HH

neuron = jx.Compartment()
neuron.insert(HH())
neuron.record(verbose=False)
neuron.stimulate(jx.step_current(1.0, 1.0, 0.1, 0.025, 5.0), verbose=False)
voltage = jx.integrate(neuron)[0]
assert voltage[0] == -70 and 0 < voltage.max() < 60
