"""What `explain()` says of a program on several GPUs.

In: a program's parts, the devices. Out: a page: what is divided, what every device does whole, and
what copies between devices cost where one does not reach another.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ..ir.avals import ShapedArray
from .accelerators import CudaHome
from .segments import Segment


def page(
    name: str,
    segments: Sequence[Segment],
    args: Sequence[tuple[str, ShapedArray, str]],
    homes: Sequence[CudaHome],
) -> str:
    """The page of a program whose `shard_map`s are segments of their own."""
    count = len(homes)
    lines = [f"{name} on {count} devices: {', '.join(str(h.device) for h in homes)}"]
    for one, other in itertools.combinations([home.place for home in homes], 2):
        if not one.driver.reaches(one.number, other.number):
            lines.append(
                f"  GPU {one.number} and GPU {other.number} do not reach each other's memory: the "
                "driver takes copies between them through the host"
            )
    for what, aval, place in args:
        if not place:
            lines.append(f"  {what}: {aval.short()} comes from the host at every call")
    for number, segment in enumerate(segments):
        if segment.eqn is not None:
            params = segment.eqn.params
            ins, outs = (", ".join(map(str, params[k])) for k in ("in_specs", "out_specs"))
            sizes = params["mesh"].shape
            head = f"part {number}, divided over {sizes}: ({ins}) -> ({outs})"
        else:
            head = f"part {number}, not divided: each of the {count} devices computes all of it"
        lines += ["", homes[0].lowered(segment.body).explain(head)]
    return "\n".join(lines)
