# SPDX-License-Identifier: Apache-2.0
"""`unxen import`: from a disk or an export to a VM of this Proxmox node that boots, with its progress told.

Hands over to `workflow.import_`. What an export's machine loses is told beside the report.
"""

import sys

from unxen.cli.call import Call
from unxen.cli.output import show
from unxen.cli.terminal import Steps, listener_for, style_for
from unxen.cli.work import Result
from unxen.errors import refused
from unxen.host.config import knowledge_rows, load_settings
from unxen.knowledge.loader import load_knowledge
from unxen.model.conversion import Conversion
from unxen.model.progress import Listener
from unxen.model.reason import ReasonKind
from unxen.platforms.files import format_named
from unxen.platforms.proxmox import node as door
from unxen.platforms.proxmox.node import LocalNode
from unxen.workflow.import_ import Import, Imported, import_


def run(call: Call) -> int:
    """One disk or one machine, to its exit code."""
    if len(call.formats) > 1:
        raise refused(ReasonKind.USAGE, verb="import", problem="--format is given once, for the one disk")
    steps = listener_for(sys.stderr, quiet=call.quiet, verbose=call.verbose)
    try:
        done = _imported(call, steps)
    finally:
        if isinstance(steps, Steps):
            steps.close()
    if done.conversion is not None and not call.quiet and not call.json:
        _show_losses(done.conversion, call)
    return show(Result(done.outcome), call)


def _imported(call: Call, steps: Listener) -> Imported:
    settings = load_settings()
    asked = Import(
        vmid=call.vmid,
        source=call.targets[0],
        storage=call.storage,
        format=format_named(call.formats[0]) if call.formats else None,
        bus=call.bus,
        bridges=dict(each.split("=", 1) for each in call.bridges),
    )
    return import_(asked, LocalNode(door.PLACES), settings, load_knowledge(knowledge_rows(settings)), steps)


def _show_losses(conversion: Conversion, call: Call) -> None:
    from unxen.report.conversion import render_conversion
    from unxen.report.layout import Context

    sys.stderr.write(render_conversion(conversion, Context(style_for(sys.stderr), full=call.verbose)))
