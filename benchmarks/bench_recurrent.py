"""A step of gradient descent on an LSTM run by scan, and its forward pass."""

from __future__ import annotations

from training import sgd_checked, sgd_step
from works import Work, map_tree, normal


def last_state(fw, params, x):
    """The hidden state after all of x, time first; gates in PyTorch's order."""
    np = fw.numpy
    wx, wh, b, _ = params

    def cell(carry, driven):
        h, c = carry
        i, f, g, o = np.split(driven + h @ wh, 4, axis=-1)
        c = fw.nn.sigmoid(f) * c + fw.nn.sigmoid(i) * np.tanh(g)
        h = fw.nn.sigmoid(o) * np.tanh(c)
        return (h, c), None

    start = np.zeros((x.shape[1], wh.shape[0]), x.dtype)
    (h, _), _ = fw.lax.scan(cell, (start, start), x @ wx + b)
    return h


def loss(fw):
    return lambda params, x, y: fw.numpy.mean((last_state(fw, params, x) @ params[3] - y) ** 2)


def torch_version(tools, params, x, y):
    torch = tools.torch
    wx, wh, b, wo = map_tree(tools.tensor, params)
    lstm = torch.nn.LSTM(wx.shape[0], wh.shape[0])
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(wx.T)
        lstm.weight_hh_l0.copy_(wh.T)
        lstm.bias_ih_l0.copy_(b)
        lstm.bias_hh_l0.zero_()
    lstm.bias_hh_l0.requires_grad_(False)
    wo.requires_grad_(True)
    data, wanted = tools.tensor(x), tools.tensor(y)
    weights = [lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, wo]
    updates = torch.optim.SGD(weights, lr=1e-3)

    def call():
        updates.zero_grad(set_to_none=True)
        value = torch.mean((lstm(data)[0][-1] @ wo - wanted) ** 2)
        value.backward()
        updates.step()
        wx, wh, b, wo_new = weights
        return [value, wx.T, wh.T, b, wo_new]

    return call


def work(name, steps, batch, inputs, hidden, goal=None, smooth=None):
    def arrays(rng):
        wx = normal(rng, inputs, 4 * hidden, scale=inputs**-0.5)
        wh = normal(rng, hidden, 4 * hidden, scale=hidden**-0.5)
        params = (wx, wh, normal(rng, 4 * hidden, scale=0.1), normal(rng, hidden, 8, scale=0.1))
        # Large targets, so that one step moves the params visibly.
        return params, normal(rng, steps, batch, inputs), normal(rng, batch, 8, scale=100.0)

    return Work(
        name,
        arrays,
        lambda fw: sgd_step(fw, loss(fw)),
        goal=goal,
        torch=torch_version,
        carry=True,
        checked=sgd_checked,
        amount=steps * batch * 4 * hidden * (inputs + hidden),
        smooth=smooth,
    )


LSTM = "LSTM by scan, T 64, batch 32, 128→256, SGD step"
WORKS = [
    work(LSTM, 64, 32, 128, 256, goal=0.85),
    work("LSTM, T 61, batch 31, 127→250", 61, 31, 127, 250, smooth=LSTM),
    work("LSTM, T 64, batch 1, 128→256", 64, 1, 128, 256),
]
