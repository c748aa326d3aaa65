"""`python -m funcgrad cache info`, `... cache clear`, and `python -m funcgrad doctor`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m funcgrad", description="Look after funcgrad.")
    commands = parser.add_subparsers(required=True, metavar="command")
    commands.add_parser("doctor", help="what is missing for a GPU, and the line that mends it")
    store = commands.add_parser("cache", help="the compiled programs kept on disk")
    store.add_argument("action", choices=["info", "clear"])
    found_action = vars(parser.parse_args(arguments)).get("action")
    if found_action is None:
        from .kernels.cuda import doctor

        told, well = doctor.report()
        sys.stdout.write(told)
        return 0 if well else 1
    action: str = found_action

    from .kernels.runtime import cache

    if action == "clear":
        count = cache.clear()
        sys.stdout.write(f"deleted    {count} entries\n")
    found = cache.info()
    sys.stdout.write(
        f"directory  {found.directory}\nstate      {found.state}\nentries    {found.entries}\n"
        f"bytes      {found.bytes} of {found.limit}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
