# SPDX-License-Identifier: Apache-2.0
"""The benchmark from disks to tables; see run.sh.

Writes below a scratch directory that it removes, and the tables to standard output. What is being done goes to standard error.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests"), str(TOP / "plugin")]

from compare import compare  # noqa: E402  # the path is made above
from growth import grow  # noqa: E402
from idle import idle  # noqa: E402
from many import many  # noqa: E402
from setting import Setting  # noqa: E402
from starts import starts  # noqa: E402

PARTS = {"compare": compare, "growth": grow, "many": many, "idle": idle, "starts": starts}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, less growth")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of the comparison")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part, repeatable")
    asked = parser.parse_args()
    corpus = Path(os.environ.get("UNXEN_CORPUS", TOP.parent / "shared" / "corpus"))
    with TemporaryDirectory(prefix="unxen-bench-") as folder:
        setting = Setting(
            folder=Path(folder),
            unxen=str(TOP / ".venv" / "bin" / "unxen"),
            corpus=corpus if (corpus / "manifest.json").is_file() else None,
            rounds=asked.rounds or (2 if asked.quick else 5),
            quick=asked.quick,
        )
        for part in asked.only or PARTS:
            sys.stdout.write(PARTS[part](setting) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
