# SPDX-License-Identifier: Apache-2.0
"""The same targets guided by coverage: python -m fuzz.guided TARGET DIRECTORY [options of libFuzzer], from the directory tests.

Needs atheris from PyPI, which nothing else here does. DIRECTORY keeps the inputs that reached something new.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["unxen"]):
    from fuzz.targets import TARGETS


def main() -> None:
    target, directory = TARGETS[sys.argv[1]], Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (directory / f"seed-{number}").write_bytes(seed[: 64 << 10])
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(directory)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
