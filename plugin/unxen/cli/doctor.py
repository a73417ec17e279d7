# SPDX-License-Identifier: Apache-2.0
"""`unxen doctor`: whether this host has all that a repair needs, and what to type where it has not.

Prints; hands over to `workflow.doctor`, which changes nothing. The exit code is that of the first failed check.
"""

import json
import sys
from typing import Any

from unxen.cli.call import Call
from unxen.cli.hooks import hook_files
from unxen.cli.terminal import style_for
from unxen.host.config import load_settings
from unxen.model.checkup import Check, CheckState
from unxen.platforms.proxmox.access import access_to
from unxen.report.exit_codes import DONE, REASON_CODES
from unxen.report.json import escaped, reason_document
from unxen.report.text_doctor import check_lines
from unxen.workflow.doctor import examine


def run(call: Call) -> int:
    """Shows each check as it is done."""
    checks = []
    style = style_for(sys.stdout)
    settings = load_settings()
    access = access_to(call.host, call.token_file, call.ca, insecure=call.insecure) if call.host else None
    for check in examine(settings, hook_files(settings), access=access, deep=call.deep):
        checks.append(check)
        if not call.json:
            sys.stdout.write("\n".join(check_lines(check, style)) + "\n")
            sys.stdout.flush()
    code = next((REASON_CODES[each.why.kind] for each in checks if each.state is CheckState.FAILED and each.why), DONE)
    if call.json:
        document = {"schema": 1, "exit_code": code, "checks": [_row(each) for each in checks]}
        sys.stdout.write(json.dumps(escaped(document), indent=2) + "\n")
    return code


def _row(check: Check) -> dict[str, Any]:
    why = reason_document(check.why) if check.why is not None else None
    return {"name": check.name, "state": check.state.value, "found": check.found, "reason": why}
