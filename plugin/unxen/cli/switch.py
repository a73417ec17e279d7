# SPDX-License-Identifier: Apache-2.0
"""`unxen switch`: the boot disk of a VM on a Proxmox cluster elsewhere onto another bus; its content is not looked at.

For a disk that was repaired where it lay and moved to the cluster since. On the node itself `unxen repair proxmox:VMID --bus B`
does both. The token is read from a file, for a command line is seen by everybody.
"""

import json
import os
import sys
from pathlib import Path

from unxen.cli.call import Call
from unxen.errors import refused
from unxen.model.codec import encode
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.node import is_vmid
from unxen.platforms.proxmox.remote import Access, RemoteNode, parse_token
from unxen.platforms.schemes import name_in, scheme_of
from unxen.report.exit_codes import DONE
from unxen.report.messages import tell_definition

OTHERS = 0o077


def run(call: Call) -> int:
    """One VM."""
    (target,) = call.targets
    vmid = name_in(target)
    if scheme_of(target) != "proxmox" or not is_vmid(vmid):
        raise refused(ReasonKind.USAGE, target, verb="switch", problem="a guest such as proxmox:100 is expected")
    if call.bus is None:
        raise refused(ReasonKind.USAGE, verb="switch", problem="--bus says where to")
    user, name, secret = parse_token(_token(Path(call.token_file)))
    verify: str | bool = False if call.insecure else call.ca or True
    changes = RemoteNode(Access(call.host, user, name, secret, verify)).move(vmid, call.bus, dry_run=call.dry_run)
    if call.json:
        document = {"schema": 1, "target": [target], "dry_run": call.dry_run, "definition": [encode(each) for each in changes]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{target}: {tell_definition(each)}\n" for each in changes) or f"{target}: nothing to do\n")
    return DONE


def _token(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise refused(ReasonKind.POLICY_REFUSED, str(path), problem="others can read this token (chmod 600 it)")
            return file.read(4096)
    except (OSError, UnicodeDecodeError) as error:
        raise refused(ReasonKind.NO_PERMISSION, str(path), cause=getattr(error, "strerror", "not text")) from error
