# SPDX-License-Identifier: Apache-2.0
"""The disks of an export become raw files in a directory, all of them or none.

Writes new files into the one directory and overwrites nothing; what it made is gone again when anything proves damaged.
Raises Refused(OUTPUT_EXISTS, NO_SPACE, NO_PERMISSION, EXPORT_DAMAGED).
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from unxen.errors import refused
from unxen.host.disk_sink import RawSink
from unxen.host.files import sync_directory
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.platforms.xen.ova_xml import XvaDisk
from unxen.platforms.xen.xva import XvaExport
from unxen.workflow.steps import Stopwatch


def write_disks(export: XvaExport, directory: Path, listener: Listener) -> Mapping[str, str]:
    """Every disk as NAME-SLOT.raw; gives the path for each slot."""
    if not directory.is_dir():
        raise refused(ReasonKind.DISK_MISSING, str(directory), cause="The directory for the disks is not there.")
    paths = {each.slot: directory.absolute() / _file_name(export.definition.name, each.slot) for each in export.disks}
    for path in paths.values():
        if path.exists() or path.is_symlink():
            raise refused(ReasonKind.OUTPUT_EXISTS, str(path))
    made = _Made(paths)
    try:
        with Stopwatch(listener).step(Step.COPY):
            export.stream(made.sink_for, listener)
    except BaseException:
        made.throw_away()
        raise
    sync_directory(directory)
    return {slot: str(path) for slot, path in paths.items()}


class _Made:
    """The files that this run has made."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._sinks: dict[Path, RawSink] = {}

    def sink_for(self, disk: XvaDisk) -> RawSink:
        """A new file for one disk."""
        path = self._paths[disk.slot]
        self._sinks[path] = RawSink.new_file(str(path), disk.size)
        return self._sinks[path]

    def throw_away(self) -> None:
        """Closes and removes them."""
        for path, sink in self._sinks.items():
            sink.abandon()
            with suppress(OSError):
                path.unlink()


def _file_name(machine: str, slot: str) -> str:
    """Letters that no shell and no libvirt minds."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", machine).strip("-.")[:100] or "disk"
    number = re.sub(r"[^A-Za-z0-9]+", "", slot)[:8] or "0"
    return f"{plain}-{number}.raw"
