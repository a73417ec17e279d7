# SPDX-License-Identifier: Apache-2.0
"""A fake of Proxmox' API as a process of its own, because its licence is another.

JSON about it in, its port out, and at the end every request that it got.

{"vms": {"100": {...config}}, "status": "stopped", "tokens": {"u@pve!t": "secret"},
 "grants": [["u@pve!t", "/vms/100", "VM.Audit"]], "fail": [["PUT", "/config", 500, "text"]], "certs": DIRECTORY}
"""

import asyncio
import json
import sys

from fakepve import FakePve
from fakepve.certs import make_cert


async def serve(asked: dict) -> None:
    certificate, key, _ = make_cert(asked["certs"], hosts=("127.0.0.1",))
    pve = FakePve(user="root@pam", password="unused", host="127.0.0.1", port=0)
    pve.time_scale = 0
    for vmid, config in asked["vms"].items():
        lock = config.pop("lock", None)
        template = config.pop("template", None) is not None
        pve.add_vm(int(vmid), f"vm{vmid}", status=asked.get("status", "stopped"), config=config, lock=lock, template=template)
    pve.apitokens.update(asked.get("tokens", {}))
    for user, path, *privileges in asked.get("grants", []):
        pve.grant(user, path, *privileges)
    for method, suffix, status, message, *times in asked.get("fail", []):
        pve.fail(method, suffix, status, message, times=times[0] if times else None)
    await pve.start(certificate, key)
    print(json.dumps({"port": pve.port, "ca": certificate}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps([[method, path, str(body)] for method, path, body in pve.requests]), flush=True)


asyncio.run(serve(json.loads(sys.argv[1])))
