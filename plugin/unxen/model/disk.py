# SPDX-License-Identifier: Apache-2.0
"""A disk as it is given, and what the header of its image says.

Touches nothing. A header is what the unprivileged reader saw; whether it is acceptable is judged elsewhere.
"""

from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.record import dataclass
from unxen.model.remote import Remote


@dataclass(frozen=True)
class Window:
    """The part of a file that is the image, in bytes."""

    start: int
    length: int


@dataclass(frozen=True)
class Disk:
    """One image of a guest, its format explicit: a file or a block device, or `remote`, and then `path` is its URL.

    `window`: only this part of it is the guest's disk; raw images alone can have one.
    """

    number: DiskNumber
    path: str
    format: ImageFormat
    window: Window | None = None
    remote: Remote | None = None


@dataclass(frozen=True)
class ImageHeader:
    """Fixed fields of one image file, read without QEMU.

    `virtual_size` in bytes. `backing_file` is the name as it stands in the header, not resolved; empty when there is none.
    `dirty` and `corrupt` are qcow2's incompatible-feature bits, or the format's own word for the same.
    `unknown_features` names incompatible features that this reader does not know.
    `kind` is the subformat where the format has some: `fixed`, `dynamic`, `differencing`, `monolithicSparse`, `streamOptimized`.
    `extents` are other files that the header names as its data.
    """

    format: ImageFormat
    virtual_size: int
    kind: str = ""
    backing_file: str = ""
    backing_format: str = ""
    data_file: str = ""
    extents: tuple[str, ...] = ()
    encrypted: bool = False
    dirty: bool = False
    corrupt: bool = False
    has_snapshots: bool = False
    has_bitmaps: bool = False
    unknown_features: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageLayer:
    """One file of a checked backing chain: where it is, what its header says, and the identity it had when it was read."""

    path: str
    header: ImageHeader
    device: int
    inode: int
    file_size: int


@dataclass(frozen=True)
class ImageChain:
    """A disk with its checked layers, the disk's own file first, the last one without a backing file."""

    disk: Disk
    layers: tuple[ImageLayer, ...]

    @property
    def virtual_size(self) -> int:
        """Bytes that a guest sees."""
        return self.layers[0].header.virtual_size
