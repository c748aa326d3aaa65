"""The figures in the docstrings of the examples, by runs in full: `make examples`, half an hour.

The other tests of this folder hold shorter runs to figures of their own.
"""

import os

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("FUNCGRAD_FULL_EXAMPLES"), reason="in full by `make examples`"
    ),
]


def digits(module, folder):
    assert module.main("cnn", 15, folder) > 0.975
    assert module.main("mlp", 15, folder) == pytest.approx(0.97, abs=0.008)


def autoencoders(module, folder):
    costs = module.main(1000, folder)
    assert costs["plain"]["eval/pixels"] == pytest.approx(81, abs=1.5)
    assert costs["variational"]["eval/pixels"] == pytest.approx(88, abs=1.5)
    assert costs["variational"]["eval/code"] == pytest.approx(22, abs=1)


def private_digits(module, folder):
    last = module.main([1.0], 320, folder)[1.0]
    assert last["epsilon"] == pytest.approx(8.3, abs=0.05)
    assert last["eval/accuracy"] > 0.935


def siamese_digits(module, folder):
    assert min(module.main(600, folder)) > 0.92


def resnet_digits(module, folder):
    ends = module.main(200, 3, folder)
    assert ends["residual"]["accuracy"] == pytest.approx(0.97, abs=0.01)
    assert ends["residual"]["loss"] < 0.5 * ends["plain"]["loss"]


def dcgan(module, folder):
    before, after, _ = module.main(1500, 0, folder)
    assert before == pytest.approx(250, abs=10)
    assert after < 30


def characters(module, folder):
    found = module.main(800, 0, folder)
    assert found["LSTM"][0] < 1.8 and found["GPT"][0] < 1.55
    for _, (with_memory, without) in found.values():
        assert with_memory == without


def what_a_network_sees(module, folder):
    shares, sure = module.main(600, 0, folder)
    assert sure.min() > 0.95
    assert shares["gradient"] < shares["random"] - 0.2
    assert shares["smooth"] < shares["random"] - 0.2
    assert shares["guided"] < shares["random"]


def style_transfer(module, folder):
    content, style = module.main(300, 0, folder)["painted"]
    assert style < 0.1
    assert content < 0.5


IN_FULL = [
    digits,
    autoencoders,
    private_digits,
    siamese_digits,
    resnet_digits,
    dcgan,
    characters,
    what_a_network_sees,
    style_transfer,
]


@pytest.mark.parametrize("check", IN_FULL, ids=lambda check: check.__name__)
def test_in_full(check, load, tmp_path):
    check(load(check.__name__), tmp_path)
