"""The figures that the examples of language models and of sequences state."""

import pytest


@pytest.mark.slow
def test_truncated_backpropagation_is_whole_where_it_should_be(load, capsys):
    rows = load("truncated_backpropagation").main(seed=0)
    for row in rows.values():
        assert max(row[name] for name in ("loss", "last layer", "through memory")) < 1e-13
        assert row["forgetful"] < 1e-13
    lost = [row["LSTM"] for row in rows.values()]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > 0.5 and lost[1] > 0.2
    assert list(rows)[-1] == 64 and lost[-1] == 0
    assert "through memory" in capsys.readouterr().out


@pytest.mark.slow
def test_characters_are_learnt_and_written(load, tmp_path, capsys):
    characters = load("characters")
    characters.LENGTH = 32
    small = {"sizes": (64, 32), "layers": (1, 1), "rate": 1e-2}
    found = characters.main(250, seed=0, output=tmp_path, **small)
    for name, (held_out, (with_memory, without)) in found.items():
        # The frequencies of the characters alone: 3.3.
        assert held_out < 3.1
        assert len(with_memory) == characters.LENGTH - len(characters.PROMPT)
        assert with_memory == without
        assert (tmp_path / f"characters-{name}.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "LSTM writes:\n\nThe statement " in printed
    assert "held-out loss" in printed


def test_the_text_is_that_of_the_help_and_its_columns_go_on(load):
    characters = load("characters")
    names, ids, held_out = characters.load_text()
    assert 0.85 < len(ids) / (len(ids) + len(held_out)) < 0.95
    assert "if_stmt" not in names and "e" in names
    assert "statement is used for conditional execution" in "".join(names[i] for i in ids)
    pieces = characters.in_order(ids)
    # Where a piece ends the next of the same column begins; the last character is its first.
    assert (pieces[:-1, :, -1] == pieces[1:, :, 0]).all()
    assert (pieces[0, 0] == ids[: characters.LENGTH + 1]).all()
