# SPDX-License-Identifier: Apache-2.0
"""`unxen network`: what was set on the network cards, for people, for programs, and as a script that sets it again.

Hands over to `workflow.network`; writes nothing. A script is for one Windows: with several, one has to be chosen.
"""

import sys
from collections.abc import Sequence

from unxen.cli.terminal import style_for
from unxen.cli.work import Job
from unxen.errors import refused
from unxen.host.key_file import read_keys
from unxen.model.judgement import Verdict
from unxen.model.network_settings import NetworkSettings
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind
from unxen.workflow.network import network


def run(job: Job) -> tuple[Outcome, bytes]:
    """The settings of one guest, as standard output shall have them."""
    call = job.asked.call
    keys = read_keys(call.key) if call.key else ()
    found = network(job.guest, job.settings, job.tables(), call.installation, job.listener, keys)
    return Outcome(call.verb, job.guest.target, Verdict.HEALTHY), _product(job, found)


def _product(job: Job, found: Sequence[NetworkSettings]) -> bytes:
    call, target = job.asked.call, job.guest.target
    if call.script:
        return _script(call.script, found)
    if call.json:
        from unxen.report.network_json import dumps

        return dumps(target, found).encode()
    from unxen.report.layout import Context
    from unxen.report.text_network import network_text

    text = network_text(target, found, Context(style_for(sys.stdout), full=call.verbose))
    return text.encode(sys.stdout.encoding or "utf-8", "backslashreplace")


def _script(kind: str, found: Sequence[NetworkSettings]) -> bytes:
    if len(found) > 1:
        ids = ", ".join(each.installation for each in found)
        raise refused(ReasonKind.USAGE, verb="network", problem=f"a script is for one Windows; choose with --installation: {ids}")
    if kind == "powershell":
        from unxen.report.script_powershell import powershell_script

        return powershell_script(found[0])
    from unxen.report.script_netsh import netsh_script

    return netsh_script(found[0])
