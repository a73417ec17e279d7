# SPDX-License-Identifier: Apache-2.0
"""Services decide which drivers the boot loader takes along; here the ones that can matter are read, as they stand.

Touches the hive it is given, and asks for directory entries through `file_seen`. Read are kernel and file-system drivers, whatever
starts at boot or with the system, what the look was told to want, and every service whose name or ImagePath says Xen. All the
others (some hundred processes and their shared libraries) are left out: they neither start nor stop a boot.
"""

from collections.abc import Callable, Container

from unxen.model.ids import GuestPath, Missing, ServiceName
from unxen.model.record import dataclass
from unxen.model.registry_facts import KeyTree, ServiceFact
from unxen.probe.image_path import Home, driver_path
from unxen.probe.reading import Reading, Values
from unxen.registry.hive import Key

KERNEL, FILE_SYSTEM = 1, 2
BOOT, SYSTEM = 0, 1
XEN = "xen"
FileSeen = Callable[[GuestPath], bool | Missing]


@dataclass(frozen=True)
class ServiceReader:
    """How services of one installation are read; `wanted` are lower-cased names that are read and whose files are looked for."""

    reading: Reading
    wanted: Container[str]
    file_seen: FileSeen
    home: Home

    def read(self, services: Key | None, filters: Container[str]) -> tuple[ServiceFact, ...]:
        """The services of one control set that can matter; `filters` are lower-cased names in filter lists."""
        facts = (self._fact(key, filters) for key in self.reading.subkeys(services))
        return tuple(each for each in facts if each is not None)

    def _fact(self, key: Key, filters: Container[str]) -> ServiceFact | None:
        values, name = self.reading.values(key), key.name.lower()
        start, kind = self.reading.number(values.get("START")), self.reading.number(values.get("TYPE"))
        image = self.reading.text(values.get("IMAGEPATH"))
        known = name in self.wanted or name in filters
        if not (known or kind in (KERNEL, FILE_SYSTEM) or start in (BOOT, SYSTEM) or _says_xen(name, image)):
            return None
        file = driver_path(image, key.name, self.home)
        asked = known or start == BOOT
        return self._service(key, values, start, kind, image, file, self._seen(file) if asked else Missing.NOT_LOOKED_AT)

    def _service(
        self,
        key: Key,
        values: Values,
        start: int | Missing,
        kind: int | Missing,
        image: str | Missing,
        file: GuestPath | Missing,
        seen: bool | Missing,
    ) -> ServiceFact:
        return ServiceFact(
            name=ServiceName(key.name),
            key=key.path,
            start=start,
            type=kind,
            error_control=self.reading.number(values.get("ERRORCONTROL")),
            group=self.reading.plain(values.get("GROUP")),
            image_path=image,
            display_name=self.reading.plain(values.get("DISPLAYNAME")),
            overrides=self._overrides(key),
            file=file,
            file_seen=seen,
        )

    def _overrides(self, key: Key) -> KeyTree | None:
        """The StartOverride subkey. One that is there and cannot be read is an empty tree, and stands among the unread."""
        found = self.reading.subkey(key, "StartOverride")
        return (self.reading.tree(found) or KeyTree((), ())) if found else None

    def _seen(self, file: GuestPath | Missing) -> bool | Missing:
        return file if isinstance(file, Missing) else self.file_seen(file)


def _says_xen(name: str, image: str | Missing) -> bool:
    return XEN in name or (isinstance(image, str) and XEN in image.lower())
