"""pennylane: a circuit of three qubits, its derivatives and those of derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml

device = qml.device("default.qubit", wires=3)


@qml.qnode(device, interface="jax", diff_method="backprop")
def circuit(angles):
    for i in range(3):
        qml.RY(angles[i], wires=i)
    qml.CNOT(wires=[0, 1])
    qml.CNOT(wires=[1, 2])
    return qml.expval(qml.PauliZ(2))


def exact(angles):
    return jnp.prod(jnp.cos(angles))


angles = jnp.array([0.1, 0.2, 0.3])
for change in (lambda f: f, jax.jit, jax.grad, lambda f: jax.jit(jax.hessian(f))):
    np.testing.assert_allclose(change(circuit)(angles), change(exact)(angles), atol=1e-5)
many = jax.vmap(circuit)(jnp.stack([angles, 2 * angles]))
np.testing.assert_allclose(many, [exact(angles), exact(2 * angles)], atol=1e-5)
