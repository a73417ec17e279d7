# SPDX-License-Identifier: Apache-2.0
"""`unxen hooks`: guard and services of a platform put in place, told, or taken away again.

Writes through `host.hook_files`, and for the guests of Proxmox VE through the platform. Tells each thing on a line, or all as JSON.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from unxen.cli.call import Call
from unxen.errors import refused
from unxen.host.config import load_settings
from unxen.host.hook_files import HookFiles, PieceState, program_here
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.report.escape import visible
from unxen.report.exit_codes import DONE
from unxen.report.json import escaped

# The package's place, and that of a checkout.
PLACES = (Path("/usr/share/unxen/hooks"), Path(__file__).resolve().parents[3] / "hooks")
ROOT = Path("/")


@dataclass(frozen=True)
class Row:
    """A file, a unit or a guest, and what was done to it or how it is.

    `enabled` is None for what is no unit, and where systemd cannot say; `hookscript` is the volume that a guest calls.
    """

    what: str
    state: str
    enabled: bool | None = None
    hookscript: str | None = None


def run(call: Call) -> int:
    """Installs, removes or lists: files and units of the host, or the hookscript of guests."""
    if call.targets and call.platform != "proxmox":
        raise refused(ReasonKind.USAGE, verb="hooks", problem=f"{call.platform} has one hook for all guests; name none")
    if call.json:
        rows = [asdict(each) for each in _rows(call)]
        document = {"schema": 1, "action": call.action, "platform": call.platform, "exit_code": DONE, "rows": rows}
        sys.stdout.write(json.dumps(escaped(document), indent=2) + "\n")
        return DONE
    for each in _rows(call):
        sys.stdout.write(visible(f"{each.what}: {_words(each)}") + "\n")
    return DONE


def _rows(call: Call) -> Iterator[Row]:
    """Named guests are meant alone; without names the host is, and for what tells or takes away every guest too."""
    if call.action == "remove":
        yield from _guests(call)
    if not call.targets:
        yield from _host(call)
    if call.action == "status" or (call.action == "install" and call.targets):
        yield from _guests(call)


def _host(call: Call) -> list[Row]:
    files = hook_files(load_settings())
    if call.action == "remove":
        return [Row(str(each.place), "removed") for each in files.remove(call.platform)]
    if call.action == "install":
        done = files.install(call.platform)
        return [Row(str(each.place), "replaced" if each.state is PieceState.OUTDATED else "installed") for each in done]
    return [Row(str(each.place), each.state.value, each.enabled) for each in files.status(call.platform)]


def hook_files(settings: Settings) -> HookFiles:
    """Our files and where they go on this host."""
    return HookFiles(_sources(), settings.state_dir, program_here(sys.argv[0]), ROOT)


def _words(row: Row) -> str:
    enabled = {None: "", True: ", enabled", False: ", not enabled"}[row.enabled]
    return f"{row.state}{enabled}" + (f" ({row.hookscript})" if row.hookscript else "")


def _sources() -> Path:
    source = next((each for each in PLACES if each.is_dir()), None)
    if source is None:
        raise refused(ReasonKind.TOOL_MISSING, "hooks", tool="the directory hooks", package="unxen")
    return source


def _guests(call: Call) -> list[Row]:
    """The hookscript of Proxmox VE, which is a matter of each guest."""
    if call.platform != "proxmox":
        return []
    from unxen.cli.hookscripts import told

    return [Row(f"proxmox:{vmid}", state, hookscript=volume) for vmid, state, volume in told(call, _sources())]
