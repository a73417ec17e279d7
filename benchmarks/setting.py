# SPDX-License-Identifier: Apache-2.0
"""What all parts of the benchmark share: where to work, how often, and what the measured programs see.

Writes to standard error alone.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench_disks import xen_hive


@dataclass(frozen=True)
class Setting:
    """One run of the benchmark."""

    folder: Path
    unxen: str
    corpus: Path | None
    rounds: int
    quick: bool

    @cached_property
    def hive(self) -> bytes:
        """The SYSTEM hive of every Windows disk."""
        return xen_hive(self.corpus)

    @property
    def env(self) -> Mapping[str, str]:
        """A state of unxen's own, nothing of this machine's configuration."""
        own = {"UNXEN_STATE_DIR": str(self.folder / "state"), "UNXEN_CONFIG": str(self.folder / "unxen.toml")}
        return {**os.environ, **own}

    def tell(self, text: str) -> None:
        """Progress."""
        sys.stderr.write(f"benchmarks: {text}\n")
        sys.stderr.flush()


def table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """Markdown."""
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
