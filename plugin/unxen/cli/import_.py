# SPDX-License-Identifier: Apache-2.0
"""`unxen import`: from a disk or an export to a VM of this Proxmox node that boots, with its progress told.

Hands over to `workflow.import_`. What an export's machine loses is told beside the report.
"""

import sys

from unxen.cli.call import Call
from unxen.cli.output import show
from unxen.cli.terminal import Steps, listener_for, style_for
from unxen.cli.work import Result, failure
from unxen.errors import Refused, refused
from unxen.host.config import knowledge_rows, load_settings
from unxen.knowledge.loader import load_knowledge
from unxen.model.conversion import Conversion
from unxen.model.judgement import Verdict
from unxen.model.reason import ReasonKind
from unxen.platforms.files import format_named
from unxen.platforms.proxmox.node import local_node
from unxen.platforms.proxmox.platform import SCHEME
from unxen.workflow.history import remember_outcome
from unxen.workflow.import_ import Import, Imported, import_


def run(call: Call) -> int:
    """One disk or one machine, to its exit code."""
    if len(call.formats) > 1:
        raise refused(ReasonKind.USAGE, verb="import", problem="--format is given once, for the one disk")
    settings = load_settings()
    knowledge = load_knowledge(knowledge_rows(settings))
    steps = listener_for(sys.stderr, quiet=call.quiet, verbose=call.verbose)
    try:
        done = import_(_asked(call), local_node(), settings, knowledge, steps)
    except Refused as error:
        done = Imported(failure("import", (f"{SCHEME}:{call.vmid}",), error.reasons))
    finally:
        if isinstance(steps, Steps):
            steps.close()
    if done.conversion is not None and not call.quiet and not call.json:
        _show_losses(done.conversion, call)
    if done.outcome.verdict is not Verdict.NO_WINDOWS:
        remember_outcome(done.outcome, settings)
    return show(Result(done.outcome, tuple((each.id, each.name) for each in knowledge.families)), call)


def _asked(call: Call) -> Import:
    return Import(
        vmid=call.vmid,
        source=call.targets[0],
        storage=call.storage,
        format=format_named(call.formats[0]) if call.formats else None,
        bus=call.bus,
        bridges=dict(each.split("=", 1) for each in call.bridges),
    )


def _show_losses(conversion: Conversion, call: Call) -> None:
    from unxen.report.conversion import render_conversion
    from unxen.report.layout import Context

    sys.stderr.write(render_conversion(conversion, Context(style_for(sys.stderr), full=call.verbose)))
