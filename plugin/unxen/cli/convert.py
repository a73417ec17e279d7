# SPDX-License-Identifier: Apache-2.0
"""`unxen convert`: a machine of Xen in, one of KVM out; the definition to standard output, what to know about it to standard error.

Defines or creates the machine only when it is asked to, and only after a repair that it was asked for has succeeded.
"""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from unxen.cli.call import Call
from unxen.cli.terminal import Steps, listener_for, style_for
from unxen.errors import Refused
from unxen.host.config import knowledge_rows, load_settings
from unxen.knowledge.loader import load_knowledge
from unxen.model.conversion import Conversion
from unxen.model.judgement import Verdict
from unxen.model.machine import Drive, Loss, MachineDefinition, Media
from unxen.model.progress import Listener
from unxen.model.settings import Settings
from unxen.platforms.libvirt.new_domain import define, domain_xml
from unxen.platforms.proxmox.create import NewVm, new_vm, shell_lines
from unxen.platforms.xen.definition import is_export, read_definition
from unxen.platforms.xen.xva import open_xva
from unxen.report.conversion import render_conversion
from unxen.report.escape import visible
from unxen.report.exit_codes import DONE, exit_code
from unxen.report.layout import Context
from unxen.workflow.convert import LIBVIRT, PROXMOX, Asked, convert, with_disks
from unxen.workflow.export_disks import write_disks

ANY_VMID = "VMID"
"""Stands where a number belongs when none was given."""


def run(call: Call) -> int:
    """One machine."""
    settings = load_settings()
    steps = listener_for(sys.stderr, quiet=call.quiet, verbose=call.verbose)
    try:
        return _run(call, settings, steps)
    finally:
        if isinstance(steps, Steps):
            steps.close()


def _run(call: Call, settings: Settings, listener: Listener) -> int:
    if call.create:
        from unxen.platforms.proxmox.node import local_node

        # Whoever may not is told so before a disk is repaired.
        local_node()
    machine = _machine(call, listener)
    libvirt = call.platform == "libvirt"
    asked = Asked(LIBVIRT if libvirt else PROXMOX, call.bus, _bridges(call), call.repair)
    conversion = convert(call.targets[0], machine, asked, settings, load_knowledge(knowledge_rows(settings)), listener)
    product = _domain(conversion) if libvirt else _vm(conversion, call)
    look = product.conversion.look
    refused = call.repair and look is not None and look.verdict in (Verdict.REFUSED, Verdict.FAILED)
    # People want to know of the conversion whatever follows; a program gets one document, of the failure if there is one.
    if not call.json:
        _show(product, call)
    code = exit_code(look) if refused and look else DONE
    if not refused:
        code = _make(product, call, settings, listener)
    if call.json:
        _show(product, call)
    return code


def _make(product: "_Product", call: Call, settings: Settings, listener: Listener) -> int:
    """The machine itself, where it was asked for."""
    if call.define:
        define(product.text, product.conversion.machine.name, settings.libvirt_uri)
        sys.stderr.write(f"defined at {settings.libvirt_uri}\n")
    if call.create and product.vm:
        return _create(product.vm, call, settings, listener)
    return DONE


def _create(vm: NewVm, call: Call, settings: Settings, listener: Listener) -> int:
    """Every command that was printed, the imports as `unxen import` makes them; what is left to do is told where one is refused."""
    from unxen.platforms.proxmox.node import local_node
    from unxen.workflow.import_ import Import, import_
    from unxen.workflow.noting import sentence

    node, code = local_node(), DONE
    knowledge = load_knowledge(knowledge_rows(settings))
    node.create(vm.arguments)
    sys.stderr.write(f"created VM {call.create}\n")
    for number, placed in enumerate(vm.imported):
        asked = Import(call.create, placed.drive.path, call.storage, placed.drive.format, placed.bus)
        try:
            outcome = import_(asked, node, settings, knowledge, listener).outcome
        except Refused:
            left = "".join(f"  {shlex.join(each)}\n" for each in vm.then[number:])
            sys.stderr.write(f"VM {call.create} is there without these disks:\n{left}")
            raise
        sys.stderr.write(f"imported {visible(placed.drive.path)}: {sentence(outcome)}\n")
        # A disk of data has no Windows, and the one that has may still come.
        code = max(code, DONE if outcome.verdict is Verdict.NO_WINDOWS else exit_code(outcome))
    return code


@dataclass(frozen=True)
class _Product:
    """What goes to standard output, and what stands behind it."""

    text: str
    conversion: Conversion
    vm: NewVm | None = None


def _domain(conversion: Conversion) -> _Product:
    return _Product(domain_xml(conversion), conversion)


def _vm(conversion: Conversion, call: Call) -> _Product:
    vm = new_vm(conversion, call.create or ANY_VMID, call.storage)
    return _Product(shell_lines(vm), replace(conversion, losses=conversion.losses + vm.losses), vm)


def _machine(call: Call, listener: Listener) -> MachineDefinition:
    source = call.targets[0]
    if not is_export(source):
        return read_definition(source)
    with open_xva(source) as export:
        if not call.disks_dir:
            return _without_disks(export.definition)
        kind = call.disk_format
        return with_disks(export.definition, write_disks(export, Path(call.disks_dir), listener, kind), kind)


def _without_disks(machine: MachineDefinition) -> MachineDefinition:
    """The disks stay in the export, and are told."""
    inside = [each for each in machine.drives if each.media is Media.DISK]
    losses = tuple(_inside(each) for each in inside)
    drives = tuple(each for each in machine.drives if each.media is not Media.DISK)
    return replace(machine, drives=drives, losses=machine.losses + losses)


def _inside(drive: Drive) -> Loss:
    return Loss(f"disk {drive.slot} ({drive.size >> 20} MiB)", "it is still in the export", "--disks DIR writes it there.")


def _bridges(call: Call) -> Mapping[str, str]:
    return dict(each.split("=", 1) for each in call.bridges)


def _show(product: _Product, call: Call) -> None:
    if call.json:
        from unxen.report.conversion_json import dumps

        sys.stdout.write(dumps(product.conversion, product.text))
    else:
        sys.stdout.write(product.text)
    sys.stdout.flush()
    if not call.quiet and not call.json:
        sys.stderr.write(render_conversion(product.conversion, Context(style_for(sys.stderr), full=call.verbose)))
