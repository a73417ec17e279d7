# SPDX-License-Identifier: Apache-2.0
"""Every name that the knowledge tables ask a disk for; apart from the list's shape, because the box and most disks need no tables.

Touches nothing.
"""

from unxen.knowledge.tables import Knowledge
from unxen.probe.wanted import Wanted


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
