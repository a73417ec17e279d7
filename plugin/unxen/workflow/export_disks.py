# SPDX-License-Identifier: Apache-2.0
"""The disks of an export become files in a directory, all of them or none: raw ones, or qcow2 made of those.

Writes new files into the one directory and overwrites nothing; what it made is gone again when anything proves damaged.
Raises Refused(OUTPUT_EXISTS, NO_SPACE, NO_PERMISSION, EXPORT_DAMAGED).
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from unxen.errors import refused
from unxen.host.disk_sink import RawSink
from unxen.host.files import sync_directory, sync_file
from unxen.host.process import run
from unxen.model.ids import ImageFormat
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.platforms.xen.ova_xml import XvaDisk
from unxen.platforms.xen.xva import XvaExport
from unxen.workflow.steps import Stopwatch

CONVERT_SECONDS = 24 * 3600.0


def write_disks(export: XvaExport, directory: Path, listener: Listener, kind: ImageFormat = ImageFormat.RAW) -> Mapping[str, str]:
    """Every disk as NAME-SLOT.raw or .qcow2; gives the path for each slot."""
    if not directory.is_dir():
        raise refused(ReasonKind.DISK_MISSING, str(directory), cause="The directory for the disks is not there.")
    paths = {each.slot: directory.absolute() / _file_name(export.definition.name, each.slot) for each in export.disks}
    final = {slot: path.with_suffix(f".{kind.value}") for slot, path in paths.items()}
    for path in {*paths.values(), *final.values()}:
        if path.exists() or path.is_symlink():
            raise refused(ReasonKind.OUTPUT_EXISTS, str(path))
    made = _Made(paths)
    try:
        with Stopwatch(listener).step(Step.COPY):
            export.stream(made.sink_for, listener)
            for slot, path in final.items():
                if path != paths[slot]:
                    made.turn(paths[slot], path, kind)
    except BaseException:
        made.throw_away()
        raise
    sync_directory(directory)
    return {slot: str(path) for slot, path in final.items()}


class _Made:
    """The files that this run has made."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._sinks: dict[Path, RawSink] = {}
        self._turned: list[Path] = []

    def sink_for(self, disk: XvaDisk) -> RawSink:
        """A new file for one disk."""
        path = self._paths[disk.slot]
        self._sinks[path] = RawSink.new_file(str(path), disk.size)
        return self._sinks[path]

    def turn(self, raw: Path, path: Path, kind: ImageFormat) -> None:
        """A raw file, which is whole and verified, into one of another format; then it goes."""
        self._turned.append(path)
        # There before qemu-img writes it, so that it is its owner's alone from the beginning.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        run(["qemu-img", "convert", "-q", "-f", "raw", "-O", kind.value, str(raw), str(path)], timeout=CONVERT_SECONDS)
        sync_file(path)
        raw.unlink()

    def throw_away(self) -> None:
        """Closes and removes them."""
        for sink in self._sinks.values():
            sink.abandon()
        for path in (*self._sinks, *self._turned):
            with suppress(OSError):
                path.unlink()


def _file_name(machine: str, slot: str) -> str:
    """Letters that no shell and no libvirt minds."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", machine).strip("-.")[:100] or "disk"
    number = re.sub(r"[^A-Za-z0-9]+", "", slot)[:8] or "0"
    return f"{plain}-{number}.raw"
