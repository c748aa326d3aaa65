"""The figures that the examples of what functional transforms make short state."""

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
