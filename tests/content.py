# SPDX-License-Identifier: Apache-2.0
"""Whether a disk is the same is asked in most tests, of its file or of what a guest would read; here is how.

Writes a file beside the disk for a moment.
"""

import hashlib
import subprocess
from pathlib import Path


def digest(path: Path) -> str:
    """Hash of a file as it lies there."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def content_of(path: Path, kind: str = "qcow2") -> str:
    """Hash of what a guest would read."""
    raw = path.with_suffix(".content")
    subprocess.run(["qemu-img", "convert", "-f", kind, "-O", "raw", path, raw], check=True)
    try:
        return digest(raw)
    finally:
        raw.unlink()
