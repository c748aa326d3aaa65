"""jraph: a network on graphs, batched and padded."""

import jax
import jax.numpy as jnp
import jraph

graph = jraph.GraphsTuple(
    nodes=jnp.ones((3, 2)),
    edges=jnp.ones((2, 1)),
    senders=jnp.array([0, 1]),
    receivers=jnp.array([2, 2]),
    n_node=jnp.array([3]),
    n_edge=jnp.array([2]),
    globals=jnp.zeros((1, 1)),
)
net = jraph.GraphNetwork(
    lambda edges, sent, received, _: jnp.concatenate([edges, sent, received], 1),
    lambda nodes, sent, received, _: nodes.sum(1, keepdims=True) + received.sum(1, keepdims=True),
    lambda nodes, edges, total: total + nodes,
)
assert jax.jit(net)(graph).nodes.tolist() == [[2.0], [2.0], [12.0]]
assert jraph.batch([graph, graph]).n_node.tolist() == [3, 3]
assert jraph.pad_with_graphs(graph, 5, 4, 2).n_node.tolist() == [3, 2]
convolution = jraph.GraphConvolution(lambda x: x**2, add_self_edges=True)
slope = jax.grad(lambda nodes: convolution(graph._replace(nodes=nodes)).nodes.sum())(graph.nodes)
assert jnp.all(jnp.isfinite(slope)) and slope.shape == (3, 2)
