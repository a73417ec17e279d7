# SPDX-License-Identifier: Apache-2.0
"""The box has no knowledge tables; this is the short list of names that tells it what to look for.

Touches nothing. Only what is named here is read beyond what every look reads; nothing in it is judged inside the box.
"""

from unxen.model.record import dataclass


@dataclass(frozen=True)
class Wanted:
    r"""What to look for, all without case.

    `services`: lower-cased names whose driver files are looked for. `settings`: keys relative to a control set whose whole
    content is read. `device_prefixes`: beginnings of ids below Enum (`PCI\VEN_5853`) whose instances are read. `device_ids`: ids of
    storage controllers (`PCI\CC_010601`) whose drivers are looked up in the hive's own databases. `driver_files`: files that
    drivers need beside their own (`pciidex.sys`), looked for in System32\drivers.
    """

    services: tuple[str, ...]
    settings: tuple[str, ...]
    device_prefixes: tuple[str, ...]
    device_ids: tuple[str, ...] = ()
    driver_files: tuple[str, ...] = ()
