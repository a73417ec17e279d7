# SPDX-License-Identifier: Apache-2.0
"""The box has no knowledge tables; this is the short list of names that tells it what to look for.

Touches nothing. Only what is named here is read beyond what every look reads; nothing in it is judged inside the box.
"""

from unxen.knowledge.tables import Knowledge
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


def wanted_from(knowledge: Knowledge) -> Wanted:
    """Every name that the tables know of, each once and in order, so that equal tables ask for the same."""
    return Wanted(
        services=_unique(_service_names(knowledge)),
        settings=_unique([row.key for row in knowledge.xen_settings]),
        device_prefixes=_unique(_device_prefixes(knowledge)),
        device_ids=_unique(_device_ids(knowledge)),
        driver_files=_unique(_driver_files(knowledge)),
    )


def _service_names(knowledge: Knowledge) -> list[str]:
    names = [name for row in knowledge.controllers for name in (row.service, *row.requires)]
    names += [row.service for row in knowledge.boot_services]
    names += [row.service for row in knowledge.critical_rows]
    names += [row.service for row in knowledge.article]
    names += [row.service for row in knowledge.processors]
    names += [row.name for row in knowledge.xen_services]
    names += [row.name for row in knowledge.xen_filters]
    names += [row.installed for row in knowledge.network_cards]
    names += [row.service for row in knowledge.unfinished_tools]
    return names + [name for row in knowledge.stock_filters for name in row.names]


def _driver_files(knowledge: Knowledge) -> list[str]:
    needed = [name for row in knowledge.controllers for name in row.files]
    return needed + [name for row in knowledge.critical_rows for name in row.files]


def _device_prefixes(knowledge: Knowledge) -> list[str]:
    ids = [each for each in _device_ids(knowledge) if not _compatible_only(each)]
    traces = [row.text for row in knowledge.kvm_traces if "\\" in row.text]
    return [row.prefix for row in knowledge.xen_devices] + ids + traces


def _device_ids(knowledge: Knowledge) -> list[str]:
    emulated = [each for row in knowledge.emulated for each in row.ids]
    names = [row.id for row in knowledge.critical_rows] + [row.id for row in knowledge.critical_mistakes]
    critical = [each.replace("#", "\\") for each in names]
    return emulated + [each for row in knowledge.controllers for each in row.ids] + critical


def _compatible_only(device_id: str) -> bool:
    r"""`PCI\CC_0106` names a class of devices, and Enum's keys are hardware ids: no key begins so."""
    return "\\CC_" in device_id.upper()


def _unique(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lower() for name in names if name))
