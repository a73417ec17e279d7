# SPDX-License-Identifier: Apache-2.0
"""What a command line asks for, as one value that can be sent to another process.

Touches nothing.
"""

from unxen.model.fix import Fix
from unxen.model.ids import Bus, ImageFormat, InstallationId
from unxen.model.record import dataclass
from unxen.model.settings import Delivery


@dataclass(frozen=True)
class Call:
    """One verb on some targets, with every option; options that the verb does not have keep their defaults."""

    verb: str
    targets: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    installation: InstallationId | None = None
    bus: Bus | None = None
    accept_unclean_volume: bool = False
    key: str = ""
    each: bool = False
    jobs: int = 1
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    timings: bool = False
    log_json: bool = False
    form: str = "text"
    hive_root: str = ""
    delivery: Delivery | None = None
    dry_run: bool = False
    accept_stale_hive: bool = False
    fix: tuple[Fix, ...] = ()
    wait: float | None = None
    markdown: bool = False
    action: str = ""
    platform: str = ""
    arguments: tuple[str, ...] = ()
    once: bool = False
    storage: str = ""
    vmid: str = ""
    host: str = ""
    token_file: str = ""
    ca: str = ""
    insecure: bool = False
    html: str = ""
    deep: bool = False
    days: int = 0
    forget: int | None = None
    registry: bool = False
    define: bool = False
    repair: bool = False
    create: str = ""
    disks_dir: str = ""
    disk_format: ImageFormat = ImageFormat.RAW
    bridges: tuple[str, ...] = ()
    script: str = ""


@dataclass(frozen=True)
class GuestCall:
    """One guest of a call: its targets and the formats that were given for them."""

    call: Call
    targets: tuple[str, ...]
    formats: tuple[str, ...]


def guest_calls(call: Call) -> tuple[GuestCall, ...]:
    """All targets as one guest, or with --each a guest per target."""
    if not call.each:
        return (GuestCall(call, call.targets, call.formats),)
    formats = [call.formats[index : index + 1] for index in range(len(call.targets))]
    return tuple(GuestCall(call, (target,), each) for target, each in zip(call.targets, formats, strict=True))
