# SPDX-License-Identifier: Apache-2.0
"""Two hives know which Windows they belong to, each in its own way; here they are asked.

Touches the bytes it is given. A hive that cannot be read knows nothing: every answer is then empty, never an error.
"""

from unxen.errors import Refused
from unxen.model.ids import Architecture, Missing
from unxen.model.record import dataclass
from unxen.probe.reading import Reading, Values
from unxen.registry.hive import Key
from unxen.registry.names import fold

Version = tuple[int, int, int]
ARCHITECTURES = {"X86": Architecture.X86, "AMD64": Architecture.AMD64, "ARM64": Architecture.ARM64}
CURRENT_VERSION = r"Microsoft\Windows NT\CurrentVersion"
ENVIRONMENT, BUILD_KEY = r"Control\Session Manager\Environment", r"Control\Windows"
# Server product types below ProductOptions; the other one is WinNT.
SERVER_TYPES = ("servernt", "lanmannt")
# CSDBuildNumber of Vista and 7 is the suffix of exactly one build: 7601.17514. (8 and 8.1 share 16384.)
CSD_BUILDS = {
    16386: (6, 0, 6000),
    18000: (6, 0, 6001),
    18005: (6, 0, 6002),
    16385: (6, 1, 7600),
    17514: (6, 1, 7601),
}
PACKAGES = ("mshdc.inf", "disk.inf", "pci.inf", "acpi.inf", "machine.inf")
# A package's Version: class, date, then the driver's version as four words, the highest last (hives of 8.1 to 10 19041).
VERSION_AT, VERSION_END = 32, 40
LARGEST_SET = 999


def opened(data: bytes | None) -> Reading | None:
    """A look at the hive in these bytes, None when there is none to be read."""
    try:
        return Reading.of(data) if data else None
    except Refused:
        return None


def _decimal(text: str) -> int:
    """The number that a text begins with, up to its first dot; 0 when there is none, or one that no build has."""
    digits = text.strip().partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 6 else 0


@dataclass(frozen=True)
class SoftwareWitness:
    """What SOFTWARE says below CurrentVersion."""

    reading: Reading | None
    values: Values

    @classmethod
    def of(cls, data: bytes | None) -> "SoftwareWitness":
        """The witness for these bytes."""
        reading = opened(data)
        return cls(reading, reading.values(reading.key(CURRENT_VERSION)) if reading else {})

    def product(self) -> str:
        """ProductName as it stands."""
        return self._text("ProductName")

    def version(self) -> Version | None:
        """Major and minor from their own numbers (10), else from CurrentVersion (up to 8.1, which 10 also calls 6.3)."""
        build = _decimal(self._text("CurrentBuildNumber") or self._text("CurrentBuild"))
        major, minor = self._number("CurrentMajorVersionNumber"), self._number("CurrentMinorVersionNumber")
        if isinstance(major, int) and isinstance(minor, int):
            return major, minor, build
        numbers = [_decimal(part) for part in self._text("CurrentVersion").split(".")]
        return (numbers[0], numbers[1], build) if len(numbers) == 2 else None

    def _text(self, name: str) -> str:
        return self.reading.plain(self.values.get(fold(name))) if self.reading else ""

    def _number(self, name: str) -> int | Missing:
        return self.reading.number(self.values.get(fold(name))) if self.reading else Missing.ABSENT


@dataclass(frozen=True)
class SystemWitness:
    """What SYSTEM says; `control_set` is the one that Windows starts with."""

    reading: Reading | None
    control_set: Key | None

    @classmethod
    def of(cls, data: bytes) -> "SystemWitness":
        """The witness for these bytes."""
        reading = opened(data)
        return cls(reading, _default_set(reading) if reading else None)

    def architecture(self) -> Architecture:
        """What the environment of every process says."""
        return ARCHITECTURES.get(self._text(ENVIRONMENT, "PROCESSOR_ARCHITECTURE").upper(), Architecture.UNKNOWN)

    def server(self) -> bool | Missing:
        """Whether the product type is one of a server's."""
        kind = self._text(r"Control\ProductOptions", "ProductType").lower()
        return kind in SERVER_TYPES if kind else Missing.ABSENT

    def version(self) -> Version | None:
        """The surest of five signs, from who ran last to which services there are."""
        lab = _decimal(self._text(BUILD_KEY, "ShutdownStopTimePerfCounterBuildLab"))
        if lab:
            return 10, 0, lab
        csd = CSD_BUILDS.get(self._number(BUILD_KEY, "CSDBuildNumber"))
        return self._newest_package() or csd or self._database_version() or self._generation()

    def _text(self, key: str, name: str) -> str:
        return self.reading.plain(self._values(key).get(fold(name))) if self.reading else ""

    def _number(self, key: str, name: str) -> int:
        found = self.reading.number(self._values(key).get(fold(name))) if self.reading else 0
        return found if isinstance(found, int) else 0

    def _values(self, key: str) -> Values:
        return self.reading.values(self.reading.subkey(self.control_set, key)) if self.reading else {}

    def _has(self, key: str) -> bool:
        return self.reading is not None and self.reading.subkey(self.control_set, key) is not None

    def _newest_package(self) -> Version | None:
        """The newest version among Windows' own driver packages (from 8 on)."""
        found = [_package_version(self.reading, inf) for inf in PACKAGES] if self.reading else []
        return max((each for each in found if each), default=None)

    def _database_version(self) -> Version | None:
        """Major and minor in the DriverDatabase's own version: 0A000000 on 10, 06030000 on 8.1."""
        if self.reading is None:
            return None
        found = self.reading.number(self.reading.values(self.reading.key("DriverDatabase")).get("VERSION"))
        return (found >> 24, found >> 16 & 0xFF, 0) if isinstance(found, int) and found >> 24 else None

    def _generation(self) -> Version | None:
        """Only the generation, by services that came with it; those before Vista had one build each."""
        if self._has(r"Services\volmgr"):
            return (6, 1, 0) if self._has(r"Services\rdyboost") else (6, 0, 0)
        if not self._has(r"Services\ftdisk"):
            return None
        return self._nt5() if self._has(r"Services\PartMgr") else (4, 0, 1381)

    def _nt5(self) -> Version:
        """2000 has no product activation (key WPA); XP for x64 is a 5.2 like 2003."""
        if self.reading is None or self.reading.key("WPA") is None:
            return 5, 0, 2195
        newer = self.server() is True or self.architecture() is Architecture.AMD64
        return (5, 2, 3790) if newer else (5, 1, 2600)


def _package_version(reading: Reading, inf: str) -> Version | None:
    active = reading.plain(reading.values(reading.key(rf"DriverDatabase\DriverInfFiles\{inf}")).get("ACTIVE"))
    package = reading.key(rf"DriverDatabase\DriverPackages\{active}") if active else None
    raw = reading.raw(reading.values(package).get("VERSION"))
    if raw is None or len(raw.data) < VERSION_END:
        return None
    _, build, minor, major = (int.from_bytes(raw.data[at : at + 2], "little") for at in range(VERSION_AT, VERSION_END, 2))
    return (major, minor, build) if major >= 6 else None


def _default_set(reading: Reading) -> Key | None:
    number = reading.number(reading.values(reading.key("Select")).get("DEFAULT"))
    return reading.key(f"ControlSet{number if isinstance(number, int) and 0 < number <= LARGEST_SET else 1:03}")
