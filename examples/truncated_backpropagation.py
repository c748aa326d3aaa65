"""Where backpropagation through parts of a sequence equals that through the whole.

Run: python examples/truncated_backpropagation.py [--seed 0]

An LSTM reads 64 characters in parts of 1 to 64. Its memory goes from part to part, the gradient
does not: that is truncated. The loss is the same, and so is the gradient by the last layer, which
is behind the memory. That by the LSTM itself lacks what earlier parts had to do with later ones;
the longer the parts, the less. It is whole if the gradient goes through the memory too, and if the
LSTM forgets all at each step. A table of the relative differences is printed.
"""

from __future__ import annotations

import argparse
from pydoc_data.topics import topics

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.nn import zoo

TIME = 64
PARTS = (1, 4, 16, 64)

network = zoo.char_lstm(128, 16, 1, carry=True)


def make_text(batch):
    """ASCII characters i32[batch, TIME + 1] of Python's help, from places far apart."""
    text = "\n".join(topics[name] for name in sorted(topics)).encode("ascii", "ignore")
    starts = np.linspace(0, len(text) - TIME - 1, batch).astype(int)
    return np.stack([np.frombuffer(text, np.uint8)[i : i + TIME + 1] for i in starts]).astype("i4")


def loss(params, memory, text, part, through):
    """The loss over the text read in parts; gradients go through the memory if they may."""

    def turn(memory, places):
        logits, memory = network.apply(params, memory, text[:, places])
        values = nn.softmax_cross_entropy_with_integer_labels(logits, text[:, places + 1])
        return memory if through else lax.stop_gradient(memory), fnp.mean(values)

    return fnp.mean(lax.scan(turn, memory, fnp.arange(TIME).reshape(-1, part))[1])


slope = fg.jit(fg.value_and_grad(loss), static_argnums=(3, 4))


def forgetful(params):
    """The params with which the LSTM sees nothing but the character before."""
    own = params[1][0]["forward"]
    size = own["hidden"].shape[0]
    shut = own["bias"].at[size : 2 * size].set(-1e3)  # the gates of the forgetting
    own = {**own, "bias": shut, "hidden": fnp.zeros_like(own["hidden"])}
    return [params[0], [{"forward": own}], params[2]]


def difference(a, b):
    """‖a − b‖ / ‖b‖ of two trees."""
    a, b = (np.concatenate([np.ravel(leaf) for leaf in fg.tree.leaves(x)]) for x in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def compare(params, memory, text, part):
    """Relative differences to backpropagation through the whole, of four things."""
    value, whole = slope(params, memory, text, TIME, True)
    own, truncated = slope(params, memory, text, part, False)
    _, through = slope(params, memory, text, part, True)
    dull = forgetful(params)
    of_parts, of_whole = (slope(dull, memory, text, *how) for how in ((part, False), (TIME, True)))
    return {
        "loss": difference(own, value),
        "last layer": difference(truncated[2], whole[2]),
        "LSTM": difference(truncated[1], whole[1]),
        "through memory": difference(through, whole),
        "forgetful": difference(of_parts[1], of_whole[1]),
    }


def main(seed):
    """Print the table; return its rows by the length of the parts."""
    with fg.enable_x64(True):
        text = make_text(8)
        params, memory = network.init(fg.random.key(seed), text[:, :-1])
        rows = {part: compare(params, memory, text, part) for part in PARTS}
    print(f"{'part':>4}", *(f"{name:>15}" for name in rows[1]))
    for part, row in rows.items():
        print(f"{part:4}", *(f"{value:15.1e}" for value in row.values()))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
