# SPDX-License-Identifier: Apache-2.0
"""How much a look reads when disks and directories grow.

Starts `unxen inspect` once per disk; bytes and requests are those that the program tells of itself.
"""

import json
import subprocess
from pathlib import Path

from bench_disks import GIB, Shape, make_bench_disk
from setting import Setting, table

SHAPES = (
    Shape(size=1 * GIB, files=1_000),
    Shape(size=20 * GIB, files=1_000),
    Shape(size=2048 * GIB - (64 << 20), files=1_000, scheme="gpt"),
    Shape(size=20 * GIB, files=20_000),
    Shape(size=20 * GIB, files=100_000),
    Shape(size=40 * GIB, files=200_000),
    Shape(size=20 * GIB, files=20_000, cluster=512),
    Shape(size=20 * GIB, files=20_000, cluster=1024),
    Shape(size=20 * GIB, files=20_000, cluster=65536),
)
QUICK_SHAPES = (SHAPES[0], SHAPES[2], SHAPES[3], SHAPES[6])
ALLOWED = 4 << 20


def grow(setting: Setting) -> str:
    """One line per disk."""
    lines = []
    for shape in QUICK_SHAPES if setting.quick else SHAPES:
        setting.tell(f"growth: {shape}")
        disk = setting.folder / "growing.raw"
        make_bench_disk(disk, setting.hive, shape)
        lines.append(_line(shape, len(setting.hive), *look_at(setting, disk)))
        disk.unlink()
    return table(("disk", "files", "clusters", "read", "beside the hive", "requests", "within hive + 4 MB"), lines)


def look_at(setting: Setting, disk: Path) -> tuple[int, int]:
    """Bytes and requests of one look."""
    command = [setting.unxen, "inspect", str(disk), "--format", "raw", "--json"]
    done = subprocess.run(command, env=setting.env, capture_output=True, check=False)
    (reads,) = (each for each in json.loads(done.stdout)["spent"] if each["part"] == "box-reads")
    return reads["bytes"], reads["times"]


def _line(shape: Shape, hive: int, read: int, requests: int) -> tuple[str, ...]:
    return (
        f"{shape.size / GIB:.0f} GB",
        f"{shape.files:,}",
        f"{shape.cluster:,}",
        f"{read / 1e6:.1f} MB",
        f"{(read - hive) / 1e6:.1f} MB",
        str(requests),
        "yes" if read <= hive + ALLOWED else "no",
    )
