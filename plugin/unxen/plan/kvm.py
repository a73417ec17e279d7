# SPDX-License-Identifier: Apache-2.0
"""A Windows that has run on KVM since is none of our business: whatever Xen left there did not keep it from starting.

Touches nothing. Signs: devices of virtio or QEMU with a driver bound to them, and the machines that Windows remembers (from 8
on).
"""

from unxen.model.registry_facts import SystemFacts
from unxen.plan.names import fold
from unxen.plan.view import View


def kvm_trace(system: SystemFacts, view: View) -> str:
    """The first sign found, empty when there is none."""
    for row in view.knowledge.kvm_traces:
        text = fold(row.text)
        places = _devices(view) if "\\" in row.text else system.hardware_configs
        for place in places:
            found = fold(place).startswith(text) if "\\" in row.text else text in fold(place.partition("=")[2])
            if found:
                return place
    return ""


def _devices(view: View) -> tuple[str, ...]:
    return tuple(device.id for device in view.control_set.devices if device.service)
