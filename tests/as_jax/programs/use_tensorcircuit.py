"""tensorcircuit: the energy of a circuit, its gradient, several by vmap."""

import numpy as np
import tensorcircuit

backend = tensorcircuit.set_backend("jax")
tensorcircuit.set_dtype("complex64")


def energy(angles):
    circuit = tensorcircuit.Circuit(4)
    for i in range(4):
        circuit.h(i)
    for i in range(3):
        circuit.rzz(i, i + 1, theta=angles[i])
    for i in range(4):
        circuit.rx(i, theta=angles[3 + i])
    return backend.real(sum(circuit.expectation_ps(z=[i, i + 1]) for i in range(3)))


angles = np.linspace(0.1, 0.7, 7).astype("float32")
value, slope = backend.jit(backend.value_and_grad(energy))(backend.convert_to_tensor(angles))
for i in range(7):
    step = 0.05 * np.eye(7, dtype="float32")[i]
    up, down = (energy(backend.convert_to_tensor(angles + s)) for s in (step, -step))
    np.testing.assert_allclose(slope[i], (up - down) / 0.1, atol=5e-3)
both = backend.convert_to_tensor(np.stack([angles, 2 * angles]))
many = backend.jit(backend.vmap(energy, vectorized_argnums=0))(both)
np.testing.assert_allclose(many[0], value, atol=1e-5)
entangled = tensorcircuit.Circuit(3)
entangled.h(0)
entangled.cnot(0, 1)
entangled.cnot(1, 2)
np.testing.assert_allclose(np.abs(entangled.state()) ** 2, [0.5, *[0] * 6, 0.5], atol=1e-6)
