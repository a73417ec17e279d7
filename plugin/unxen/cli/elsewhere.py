# SPDX-License-Identifier: Apache-2.0
"""The verbs with `--host`: VMs of a Proxmox cluster elsewhere, by their configuration, for their disks are out of reach.

Hands over to `workflow.elsewhere`. The token is read from a file, for a command line is seen by everybody.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from unxen.cli.call import Call
from unxen.cli.output import show
from unxen.cli.terminal import style_for
from unxen.cli.work import Result, failure
from unxen.errors import Refused, refused
from unxen.host.config import load_settings
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.access import access_to
from unxen.platforms.proxmox.api import RemoteCluster
from unxen.platforms.proxmox.node import is_vmid
from unxen.platforms.schemes import name_in, scheme_of
from unxen.report import text_elsewhere as text
from unxen.report.exit_codes import DONE, REASON_CODES
from unxen.report.json import definition_document, escaped
from unxen.workflow import elsewhere


def run(call: Call) -> int:
    """One or more VMs of one cluster, to the largest exit code."""
    for target in call.targets:
        if scheme_of(target) != "proxmox" or not is_vmid(name_in(target)):
            raise refused(ReasonKind.USAGE, target, verb=call.verb, problem="with --host a guest such as proxmox:100 is expected")
    if call.verb in ("plan", "switch") and call.bus is None:
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--bus says where to, for nobody looks at the disk from here")
    if not call.token_file:
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--host needs --token-file")
    cluster = RemoteCluster(access_to(call.host, call.token_file, call.ca, insecure=call.insecure))
    if call.verb == "report":
        return _report(call, cluster)
    return max(_one(target, call, cluster) for target in call.targets)


def _one(target: str, call: Call, cluster: RemoteCluster) -> int:
    """What refuses one VM does not keep the others from their turn."""
    try:
        return _VERBS[call.verb](target, call, cluster)
    except Refused as error:
        return show(Result(failure(call.verb, (target,), error.reasons)), call)


def _inspect(target: str, call: Call, cluster: RemoteCluster) -> int:
    seen = elsewhere.definition_of(target, cluster)
    _tell(call, text.definition_document(seen), text.definition_text(seen, style_for(sys.stdout)))
    return max((REASON_CODES[each.kind] for each in seen.against), default=DONE)


def _switch(target: str, call: Call, cluster: RemoteCluster) -> int:
    assert call.bus is not None
    dry_run = call.dry_run or call.verb == "plan"
    done = elsewhere.switch(target, call.bus, cluster, load_settings(), dry_run=dry_run)
    definition = [definition_document(each) for each in done.changes]
    document = {"schema": 1, "target": [target], "dry_run": dry_run, "definition": definition, "entry": done.entry}
    _tell(call, document, text.switched_text(target, done, dry_run=dry_run))
    return DONE


def _undo(target: str, call: Call, cluster: RemoteCluster) -> int:
    return show(Result(elsewhere.undo(target, cluster, load_settings())), call)


def _report(call: Call, cluster: RemoteCluster) -> int:
    guests = elsewhere.marked_guests(cluster, tuple(name_in(each) for each in call.targets))
    document = {"schema": 1, "guests": [text.marked_document(each) for each in guests]}
    _tell(call, document, text.marked_text(guests, style_for(sys.stdout)))
    return DONE


def _tell(call: Call, document: dict[str, Any], words: str) -> None:
    json_wanted = call.json or call.form == "json"
    written = json.dumps(escaped(document), indent=2 if len(call.targets) < 2 else None) + "\n"
    sys.stdout.write(written if json_wanted else words)


_VERBS: dict[str, Callable[[str, Call, RemoteCluster], int]] = {
    "inspect": _inspect,
    "plan": _switch,
    "switch": _switch,
    "undo": _undo,
}
VERBS = (*_VERBS, "report")
