# SPDX-License-Identifier: Apache-2.0
"""Domains as an import from Xen leaves them, on the libvirtd of a test."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import libvirt

from generators.libvirtd import Libvirtd


@dataclass
class Host:
    """One libvirt host for one test."""

    daemon: Libvirtd
    config: Path

    def configure(self, **settings: object) -> None:
        """The configuration of unxen from here on."""
        rows = {"libvirt_uri": self.daemon.uri, "watch_quiet_seconds": 0, **settings}
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in rows.items()))

    def define(self, name: str, *devices: str, machine: str = "pc", **more: str) -> libvirt.virDomain:
        """A domain as an import would leave it."""
        return self.daemon.connect().defineXML(domain(name, *devices, machine=machine, **more))

    def domain(self, name: str) -> libvirt.virDomain:
        return self.daemon.connect().lookupByName(name)

    def xml(self, name: str) -> str:
        """The definition with which it would start."""
        return self.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)

    def starts(self, name: str) -> str:
        """Starts it paused and stops it again; what libvirt said against it, empty when it started."""
        try:
            self.domain(name).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        except libvirt.libvirtError as error:
            return error.get_error_message()
        self.domain(name).destroy()
        return ""


def domain(
    name: str, *devices: str, machine: str = "pc", os: str = "", features: str = "<acpi/>", metadata: str = "", clock: str = ""
) -> str:
    """A small domain of no CPU worth to speak of."""
    return f"""<domain type='qemu'>
  <name>{name}</name><uuid>{uuid.uuid5(uuid.NAMESPACE_DNS, name)}</uuid>{metadata}
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='{machine}'>hvm</type>{os}</os>
  <features>{features}</features>{clock}
  <devices>{"".join(devices)}<video><model type='none'/></video></devices>
</domain>"""


def disk(
    path: object,
    target: str,
    bus: str = "",
    *,
    kind: str = "file",
    format: str = "qcow2",
    inner: str = "",
    device: str = "disk",
    **driver: str,
) -> str:
    """A disk element; `driver` are further attributes of its driver."""
    attribute = {"file": "file", "block": "dev"}[kind]
    slot = f" bus='{bus}'" if bus else ""
    more = "".join(f" {name}={quoteattr(value)}" for name, value in driver.items())
    source = f"<source {attribute}={quoteattr(str(path))}/>" if path else ""
    return (
        f"<disk type='{kind}' device='{device}'><driver name='qemu' type='{format}'{more}/>{source}"
        f"<target dev='{target}'{slot}/>{inner}</disk>"
    )
