"""The table of times on a GPU, and its section of docs/benchmarks.md.

In: what `gpu.py` measured. Out: Markdown. The section stays when the CPU's page is written anew.
"""

from __future__ import annotations

HEAD = "## On a GPU"
PEERS = ("funcgrad", "jax", "torch", "torch.compile", "cupy")
# Our time over the best peer's, or the part of the machine's speed, that a row is to reach.
NONE_YET = (
    f"{HEAD}\n\nNothing has been measured on a GPU yet: `make gpu` does it where there is one, and "
    "writes this section.\n"
)


def seconds_text(x):
    """A time with a unit."""
    for limit, unit in ((1e-3, 1e6), (1.0, 1e3)):
        if x < limit:
            return f"{x * unit:.3g} {'µs' if unit == 1e6 else 'ms'}"
    return f"{x:.3g} s"


def bytes_text(x):
    """A number of bytes with a unit."""
    return f"{x / 2**20:.4g} MiB"


def section(found):
    """The section of the page on what was measured."""
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    lines = [
        HEAD,
        "",
        f"{found['date']}; {found['device']}; Python {found['python']}, {versions}. The median of "
        "rounds, each of enough calls to be timed; the host waits at the end of a round.",
        "",
    ]
    lines += [f"Without {name}: {why}.\n" for name, why in found["absent"].items()]
    used = [p for p in PEERS if any(p in row for row in found["seconds"].values())]
    head = ["work", *used, "speed", "ours over best", "failed"]
    lines += _rows(head, [_times(name, row, used) for name, row in found["seconds"].items()])
    first = found.get("first", {})
    if first:
        lines += ["", "### First calls, and the peak of memory of a step", ""]
        head = ["work", "contender", "first call, cold", "with programs on disk", "peak"]
        lines += _rows(
            head, [_first(n, p, row) for n, all_ in first.items() for p, row in all_.items()]
        )
    return "\n".join(lines) + "\n"


def _rows(head, rows):
    rule = ["---"] * len(head)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def _times(name, row, used):
    peers = [row[p] for p in used if p != "funcgrad" and p in row]
    speed = next((f"{row[k]:.3g} {k}" for k in ("GB/s", "TFLOP/s") if k in row), "")
    ratio = f"{row['funcgrad'] / min(peers):.2f}" if peers and "funcgrad" in row else ""
    failed = "; ".join(f"{k.removesuffix(' failed')}: {v}" for k, v in row.items() if "failed" in k)
    times = [seconds_text(row[p]) if p in row else "" for p in used]
    return [name, *times, speed, ratio, failed.replace("|", "/")]


def _first(name, peer, row):
    if "failed" in row:
        return [name, peer, row["failed"].replace("|", "/"), "", ""]
    peak = bytes_text(row["peak"]) if row["peak"] is not None else ""
    return [name, peer, seconds_text(row["cold"]), seconds_text(row["disk"]), peak]


def section_of(page):
    """The section of a page as it stands."""
    _, mark, rest = page.partition(f"\n{HEAD}\n")
    return f"{HEAD}\n{rest}" if mark else NONE_YET


def with_section(page, text):
    """A page with this section at its end."""
    before, _, _ = page.partition(f"\n{HEAD}\n")
    return before.rstrip() + "\n\n" + text
