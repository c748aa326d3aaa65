"""The figures that the examples of what functional transforms make short state."""

import numpy as np
import pytest


@pytest.mark.slow
def test_memory_of_segments_grows_with_the_root(load, tmp_path, capsys):
    rows, memories = load("checkpointing").main(tmp_path, depths=(4, 16, 64), depth=64)
    kept = {row[0]: row[1] for row in rows}
    again = {row[0]: row[3] for row in rows}
    # Of four times as many layers: four times and twice as much, but for what is always there.
    assert 3.5 < kept[64] / kept[16] < 4.1
    assert 1.5 < again[64] / again[16] < 2.1
    assert kept[64] > 5 * again[64]
    # The least is near the root.
    assert min(memories, key=memories.get) in (4, 8, 16)
    assert memories[8] < memories[1] / 4 and memories[8] < memories[64] / 1.5
    assert "all kept" in capsys.readouterr().out
    assert (tmp_path / "checkpointing.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_layer_of_ones_own_finds_the_decays(load, tmp_path, capsys):
    own = load("own_layer")
    gaps, found = own.main(steps=150, output=tmp_path)
    assert len(gaps) == 6
    assert max(gaps.values()) < 1e-12
    np.testing.assert_allclose(found, own.DECAYS, atol=0.02)
    assert "gradients agree with finite differences" in capsys.readouterr().out
    assert (tmp_path / "own_layer.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_neural_ode_learns_the_pendulum(load, tmp_path, capsys):
    gap, losses, distance = load("neural_ode").main(steps=200, output=tmp_path)
    assert gap < 1e-6
    assert losses[0] > 0.3 and np.mean(losses[-10:]) < 0.03
    # The whole curve, from its first point alone: it goes over 2.5 each way.
    assert distance < 0.6
    assert "the pendulum" in capsys.readouterr().out
    assert (tmp_path / "neural_ode.png").stat().st_size > 10_000


@pytest.mark.slow
def test_an_implicit_layer_needs_no_memory_for_its_iterations(load, tmp_path, capsys):
    rows, losses, accuracy = load("implicit_layer").main(steps=60, output=tmp_path)
    (_, least, _), *unrolled = rows
    gaps = [gap for *_, gap in unrolled]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.1 and gaps[-1] < 1e-12
    memory = {count: kib for count, kib, _ in unrolled}
    # In proportion to the iterations, against what one of them needs.
    assert 1.8 < (memory[32] - memory[16]) / (memory[16] - memory[8]) < 2.2
    assert least < memory[4] < memory[32] / 5
    assert losses[-1] < 0.05 < losses[0]
    assert accuracy >= 0.9
    assert "custom_root" in capsys.readouterr().out
    assert (tmp_path / "implicit_layer.png").stat().st_size > 10_000


@pytest.mark.slow
def test_lanczos_finds_the_ends_of_the_spectrum(load, tmp_path, capsys):
    exact, found = load("hessian_spectrum").main(steps=60, output=tmp_path)
    np.testing.assert_allclose(found[-12:], exact[-12:], rtol=1e-8)
    np.testing.assert_allclose(found[0], exact[0], rtol=0.05)
    # About as many as classes stand out of the bulk.
    assert 6 <= np.sum(exact > 0.1 * exact[-1]) <= 12
    assert np.sum(np.abs(exact) < 0.01 * exact[-1]) > 500
    assert "610 params" in capsys.readouterr().out
    assert (tmp_path / "hessian_spectrum.png").stat().st_size > 10_000


@pytest.mark.slow
def test_maml_adapts_in_a_step(load, tmp_path, capsys):
    losses = load("maml").main(steps=600, output=tmp_path)
    ours, joint = losses["MAML"], losses["all tasks at once"]
    # Nothing is known of a task before the first step.
    assert ours[0] > 2 and joint[0] > 2
    assert ours[1] < 0.75 * joint[1]
    assert ours[-1] < 0.6 * joint[-1]
    assert "all tasks at once" in capsys.readouterr().out
    assert (tmp_path / "maml.png").stat().st_size > 10_000
