# SPDX-License-Identifier: Apache-2.0
"""QEMU is told every layer, every format and every end of a chain, so that nothing in an image decides what it opens.

Touches nothing but the kind of the first file. The same description serves whoever reads a checked chain.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unxen.model.disk import ImageLayer, Window
from unxen.model.ids import ImageFormat

DRIVERS = {
    ImageFormat.RAW: "raw",
    ImageFormat.QCOW2: "qcow2",
    ImageFormat.VHD: "vpc",
    ImageFormat.VHDX: "vhdx",
    ImageFormat.VMDK: "vmdk",
    ImageFormat.VDI: "vdi",
}
WITH_BACKING = (ImageFormat.QCOW2, ImageFormat.VMDK)
FORMAT_OPTIONS: dict[ImageFormat, dict[str, str]] = {
    # QEMU believes the footer's size only of the creators it knows and else rounds it down to a whole cylinder: an image of 100 MiB
    # that XenServer exported ("caml") lost its last 98304 bytes, and with them GPT's second header.
    ImageFormat.VHD: {"force_size_calc": "current_size"},
}


def block_node(
    layers: Sequence[ImageLayer], names: Sequence[str], window: Window | None = None, *, force_share: bool = False
) -> dict[str, Any]:
    """The description of a chain, the disk's own file first; `names` are the file names that QEMU shall open.

    `window`: the part of the first file that is the disk.
    """
    layer, below = layers[0], layers[1:]
    driver = "host_device" if Path(layer.path).is_block_device() else "file"
    node: dict[str, Any] = {"driver": DRIVERS[layer.header.format], "file": {"driver": driver, "filename": names[0]}}
    node |= FORMAT_OPTIONS.get(layer.header.format, {}) | window_options(window)
    if layer.header.format in WITH_BACKING:
        node["backing"] = block_node(below, names[1:]) if below else None
    if force_share:
        node["force-share"] = True
    return node


def window_options(window: Window | None) -> dict[str, int]:
    """What the raw driver is told of a part of a file."""
    return {} if window is None else {"offset": window.start, "size": window.length}
