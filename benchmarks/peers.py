"""The processes of the contenders: one each for a family of works, all with two threads."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from works import OURS, PEERS

HERE = Path(__file__).parent
THREADS = 2
SECONDS = 120.0  # after which an answer is no longer waited for
PAUSE = 0.01  # seconds between looks whether a process rests


def module_of(contender: str) -> str:
    """The package of a contender."""
    return "torch" if contender.startswith("torch") else contender


def present(wanted: list[str] | None = None) -> list[str]:
    """The contenders that are installed, ours first; says which are not."""
    found: list[str] = []
    for name in (OURS, *PEERS):
        if wanted is not None and name != OURS and name not in wanted:
            continue
        if importlib.util.find_spec(module_of(name)) is None:
            print(f"{name} is left out: {module_of(name)} is not installed")
        else:
            found.append(name)
    return found


def environment(directory: Path) -> dict[str, str]:
    """Variables of a contender's process: two threads, caches of its own."""
    threads = ("OMP", "OPENBLAS", "MKL", "NUMBA", "FUNCGRAD")
    # Installed packages have their bytecode on disk: ours is to have it too.
    left_out = ("JAX_", "PYTHONDONTWRITEBYTECODE")
    given = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    return given | {
        **{f"{name}_NUM_THREADS": str(THREADS) for name in threads},
        "FUNCGRAD_CACHE_DIR": str(directory / "funcgrad"),
        "TORCHINDUCTOR_CACHE_DIR": str(directory / "inductor"),
        "JAX_PLATFORMS": "cpu",
    }


def start(
    arguments: list[str],
    variables: dict[str, str],
    errors: Any = subprocess.PIPE,
    program: str = "worker.py",
    **options: Any,
) -> Any:
    """A process of one of the programs here, on as many processors as it may have threads."""
    command = [sys.executable, str(HERE / program), *arguments]
    allowed = sorted(os.sched_getaffinity(0))[:THREADS]
    # JAX takes a thread for each processor it may run on; it has no other setting for that.
    return subprocess.Popen(
        command,
        env=variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=errors,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        **options,
    )


class FailedError(Exception):
    """A contender could not do a work; the text is its traceback, or what became of the process."""


def once(order: str, family: str, work: str, contender: str, variables: dict[str, str]) -> Any:
    """The answer of a process of `worker.py` that measures one thing and ends."""
    return answer_of(start([order, family, work, contender], variables))


def answer_of(process: Any) -> Any:
    """What a process prints last before it ends.

    Raises:
        FailedError: it failed, or did not end in time.
    """
    try:
        out, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise FailedError(f"no answer in {SECONDS:.0f} s") from None
    if process.returncode:
        raise FailedError(errors.strip() or f"the process ended with {process.returncode}")
    return json.loads(out.splitlines()[-1])


class Peer:
    """The process that does the works of a family for one contender; started again if it dies."""

    def __init__(self, family: str, contender: str, directory: Path) -> None:
        self.family, self.contender = family, contender
        self._log = directory / f"{contender.replace(' ', '-')}.log"
        self._variables = environment(directory)
        self._process: Any = None
        self._begin()

    def _begin(self) -> None:
        # Not a pipe: nobody would read it, and a full one stops the process.
        with self._log.open("a") as log:
            self._process = start(
                ["serve", self.family, self.contender],
                self._variables,
                errors=log,
                stdin=subprocess.PIPE,
                bufsize=1,
            )

    def tell(self, do: str, **order: Any) -> None:
        """Send an order, without waiting for its answer."""
        if self._process.poll() is not None:
            self._begin()
        self._process.stdin.write(json.dumps({"do": do, **order}) + "\n")

    def answer(self) -> dict[str, Any]:
        """The answer to the order sent last."""
        out = self._process.stdout
        ready, _, _ = select.select([out], [], [], SECONDS)
        line = out.readline() if ready else ""
        if line:
            found = json.loads(line)
            if "error" in found:
                raise FailedError(found["error"].strip())
            return found
        if not ready:
            self.close()
            raise FailedError(f"no answer in {SECONDS:.0f} s")
        code = self._process.wait()
        last = self._log.read_text(errors="replace")[-2000:].strip()
        raise FailedError(f"{last}\nthe process ended with {code}")

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Send an order and wait for its answer."""
        self.tell(do, **order)
        return self.answer()

    def rest(self) -> None:
        """Wait until threads that spin behind their work sleep, a second at most.

        Those of OpenBLAS spin for a tenth of a second, in which who comes next would lack a core.
        Where the system does not tell how long threads ran, there is one pause.
        """
        for _ in range(100):
            before = self._ran()
            time.sleep(PAUSE)
            if self._ran() - before < PAUSE / 10:
                return

    def _ran(self) -> float:
        """Seconds for which the threads of the process have run."""
        total = 0
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # the thread has ended
                total += int(task.read_text().split()[0])
        return total / 1e9

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
