"""Threads × fork × cache: processes that share a store, each with threads and children."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each process runs its threads through programs of many shapes, of which the other one compiles the
# same at the same time, and forks while they run; a child compiles and runs programs too. The store
# holds few of them, so that entries go while others look for them. Prints what was computed.
CODE = """
import hashlib, os, sys, threading, warnings
import numpy as np
import funcgrad as fg
import funcgrad.numpy as fnp

warnings.filterwarnings("ignore", message=".*fork.*")
fg.config.update("num_threads", 3)

def step(w, x):
    loss = lambda w: (fnp.tanh(x @ w) ** 2).sum(1).mean()
    return w - 0.1 * fg.grad(loss)(w)

def results(sizes):
    found = []
    for n in sizes:
        x = np.linspace(-1, 1, 300 * n, dtype=np.float32).reshape(300, n)
        w = np.linspace(-1, 1, n * 64, dtype=np.float32).reshape(n, 64)
        program = fg.jit(step)  # traced, and looked for in the store, by each
        found.append((n, hashlib.sha256(np.asarray(program(w, x)).tobytes()).hexdigest()))
    return found

def child():
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(write, (repr(results([30, 33])) + chr(10)).encode())
            code = 0
        finally:
            os._exit(code)
    return pid

read, write = os.pipe()
found, problems = [], []

def work(k):
    try:
        found.extend(results([30 + (i * (k + 1)) % 4 for i in range(4)]))
    except BaseException as error:
        problems.append(error)

threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
for thread in threads:
    thread.start()
codes = [os.waitstatus_to_exitcode(os.waitpid(child(), 0)[1]) for _ in range(3)]
for thread in threads:
    thread.join()
os.close(write)
with os.fdopen(read) as lines:
    for line in lines:
        found.extend(eval(line))
assert not problems, problems
assert codes == [0, 0, 0], codes
print(sorted(set(found)))
"""


# Without fork there is no child that could inherit threads it does not have.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_processes_with_threads_and_children_share_a_store(tmp_path: Path) -> None:
    variables = {"FUNCGRAD_CACHE_DIR": str(tmp_path), "FUNCGRAD_CACHE_MAX_BYTES": "60000"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", CODE],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    first, second = (out for out, _ in told)
    assert first == second
    # One result for each shape, whoever computed it.
    assert [n for n, _ in eval(first)] == [30, 31, 32, 33]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
