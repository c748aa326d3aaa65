"""A step of AdamW on a small language model: 4 pre-norm blocks with causal attention."""

from __future__ import annotations

import numpy
from training import (
    B1,
    B2,
    EPS,
    RATE,
    adam_checked,
    adam_state,
    adam_step,
    cross_entropy,
    torch_step,
)
from works import Work, map_tree, normal

DECAY = 0.01
WORDS = 256


def normed(fw, x, scale, shift):
    """Layer norm."""
    mean = fw.numpy.mean(x, -1, keepdims=True)
    variance = fw.numpy.var(x, -1, keepdims=True)
    return (x - mean) * fw.lax.rsqrt(variance + 1e-5) * scale + shift


def attention(fw, x, block, heads):
    """Causal self-attention."""
    np = fw.numpy
    n, t, d = x.shape
    qkv = (x @ block["qkv"] + block["qkv_bias"]).reshape(n, t, 3, heads, d // heads)
    q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = q @ k.transpose(0, 1, 3, 2) * (d // heads) ** -0.5
    mask = np.tril(np.ones((t, t), bool))
    y = fw.nn.softmax(np.where(mask, scores, -1e30)) @ v
    return y.transpose(0, 2, 1, 3).reshape(n, t, d) @ block["out"] + block["out_bias"]


def logits(fw, params, tokens, heads):
    """The scores of the next token at every place."""
    x = params["embedding"][tokens] + params["places"]
    for block in params["blocks"]:
        x = x + attention(fw, normed(fw, x, *block["norm1"]), block, heads)
        h = normed(fw, x, *block["norm2"]) @ block["up"] + block["up_bias"]
        x = x + fw.nn.gelu(h, approximate=True) @ block["down"] + block["down_bias"]
    return normed(fw, x, *params["norm"]) @ params["head"]


def step(heads):
    def function(fw):
        def loss(params, tokens, wanted):
            return cross_entropy(fw, logits(fw, params, tokens, heads), wanted)

        return adam_step(fw, loss, DECAY)

    return function


def arguments(rng, layers, batch, length, width):
    """State, tokens and wanted tokens of a step."""

    def dense(m, n):
        return normal(rng, m, n, scale=m**-0.5)

    def norm():
        return 1 + normal(rng, width, scale=0.1), normal(rng, width, scale=0.1)

    def block():
        sizes = {"qkv": (1, 3), "out": (1, 1), "up": (1, 4), "down": (4, 1)}
        found = {k: dense(m * width, n * width) for k, (m, n) in sizes.items()}
        biases = {f"{k}_bias": normal(rng, n * width, scale=0.1) for k, (_, n) in sizes.items()}
        return found | biases | {"norm1": norm(), "norm2": norm()}

    params = {
        "embedding": normal(rng, WORDS, width),
        "places": normal(rng, length, width, scale=0.1),
        "blocks": [block() for _ in range(layers)],
        "norm": norm(),
        "head": dense(width, WORDS),
    }
    tokens = rng.integers(0, WORDS, (batch, length + 1)).astype(numpy.int32)
    return adam_state(params), tokens[:, :-1].copy(), tokens[:, 1:].copy()


def torch_loss(torch, heads):
    functional = torch.nn.functional

    def norm(x, scale, shift):
        return functional.layer_norm(x, x.shape[-1:], scale, shift, 1e-5)

    def loss(params, tokens, wanted):
        x = functional.embedding(tokens, params["embedding"]) + params["places"]
        n, t, d = x.shape
        for block in params["blocks"]:
            qkv = norm(x, *block["norm1"]) @ block["qkv"] + block["qkv_bias"]
            q, k, v = qkv.view(n, t, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            y = y.transpose(1, 2).reshape(n, t, d)
            x = x + y @ block["out"] + block["out_bias"]
            h = norm(x, *block["norm2"]) @ block["up"] + block["up_bias"]
            x = x + functional.gelu(h, approximate="tanh") @ block["down"] + block["down_bias"]
        scores = norm(x, *params["norm"]) @ params["head"]
        return functional.cross_entropy(scores.view(n * t, -1), wanted.view(-1))

    return loss


def torch_adamw(torch, flat):
    return torch.optim.AdamW(flat, lr=RATE, betas=(B1, B2), eps=EPS, weight_decay=DECAY, fused=True)


def work(name, batch, length, width, heads, goal=None, smooth=None):
    def inputs(rng):
        return arguments(rng, 4, batch, length, width)

    def torch_version(tools, state, tokens, wanted):
        params = map_tree(tools.tensor, state[0])
        batch = (tools.tensor(tokens).long(), tools.tensor(wanted).long())
        return torch_step(tools, params, torch_loss(tools.torch, heads), batch, torch_adamw)

    return Work(
        name,
        inputs,
        step(heads),
        goal=goal,
        torch=torch_version,
        carry=True,
        checked=adam_checked,
        amount=batch * length * (12 * 4 * width**2 + 8 * length * width),
        smooth=smooth,
    )


TRANSFORMER = "Transformer 4×256, 8 heads, T 128, batch 8, AdamW step"
WORKS = [
    work(TRANSFORMER, 8, 128, 256, 8, goal=0.8),
    work("Transformer 4×250, 10 heads, T 127, batch 7", 7, 127, 250, 10, smooth=TRANSFORMER),
    work("Transformer 4×256, 8 heads, T 128, batch 1", 1, 128, 256, 8),
]
