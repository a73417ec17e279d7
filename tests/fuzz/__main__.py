# SPDX-License-Identifier: Apache-2.0
"""The long run: python -m fuzz [--seconds S] [--seed N] [--keep DIRECTORY] [TARGET…], from the directory tests."""

import argparse
import sys
import time
from pathlib import Path

from fuzz.runner import hunt
from fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--seconds", type=float, default=3600, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed bends in the same way")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="where found inputs go")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[], metavar="TARGET", help=", ".join(TARGETS))
    chosen = parser.parse_args()
    names = chosen.targets or list(TARGETS)
    print(f"seed {chosen.seed}", flush=True)
    worst = 0
    for name in names:
        begin = time.monotonic()
        number, found = hunt(name, chosen.seed, chosen.seconds / len(names), chosen.keep)
        print(f"{name:16} {number:8} inputs {time.monotonic() - begin:8.0f} s {len(found):4} found", flush=True)
        for each in found[:3]:
            print("    " + each.what.strip().splitlines()[-1][:200], flush=True)
        worst = max(worst, bool(found))
    return worst


if __name__ == "__main__":
    sys.exit(main())
