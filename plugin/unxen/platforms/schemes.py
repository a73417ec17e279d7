# SPDX-License-Identifier: Apache-2.0
"""`libvirt:win10` is a guest of a platform, everything else a path: one table says which scheme is whose.

Imports a platform's module when its first guest is named, so a look at a file pays for none. Raises Refused(USAGE) for targets that
do not go together and Refused(TOOL_MISSING) when a platform's library is not installed.
"""

import importlib
from collections.abc import Callable, Sequence

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.model.settings import Settings
from unxen.platforms.base import HookCall, Platform


@dataclass(frozen=True)
class Scheme:
    """A platform: the module whose `make(settings)` gives it (empty: not in this version), and what its library is called.

    `hook`: a module whose `hook_call(arguments, stdin)` answers without the platform, where that is quicker and needs no library.
    """

    module: str
    library: str = ""
    package: str = ""
    hook: str = ""


FILES = Scheme("unxen.platforms.files")
SCHEMES: dict[str, Scheme] = {
    "libvirt": Scheme("unxen.platforms.libvirt.platform", "libvirt", "python3-libvirt", "unxen.platforms.libvirt.hook"),
    "proxmox": Scheme("unxen.platforms.proxmox.platform"),
}


def scheme_of(target: str) -> str:
    """The scheme of a TARGET; empty for a path."""
    scheme, colon, _ = target.partition(":")
    return scheme if colon and scheme in SCHEMES else ""


def name_in(target: str) -> str:
    """The guest's name behind the scheme."""
    return target.partition(":")[2]


def platform_for(targets: Sequence[str], settings: Settings) -> Platform:
    """The platform of one guest's targets: any number of paths, or a single guest of a platform."""
    schemes = {scheme_of(each) for each in targets}
    if schemes in (set(), {""}):
        return make("", settings)
    if len(targets) > 1:
        problem = "a guest of a platform is a TARGET by itself; --each takes several"
        raise refused(ReasonKind.USAGE, next(each for each in targets if scheme_of(each)), problem=problem)
    return make(schemes.pop(), settings)


def hook_call(scheme: str, settings: Settings, arguments: Sequence[str], stdin: bytes) -> HookCall:
    """What a platform's hook was called with."""
    if SCHEMES[scheme].hook:
        call: HookCall = importlib.import_module(SCHEMES[scheme].hook).hook_call(arguments, stdin)
        return call
    return make(scheme, settings).hook_call(arguments, stdin)


def make(scheme: str, settings: Settings) -> Platform:
    """The platform of that scheme, ready to be asked."""
    row = SCHEMES[scheme] if scheme else FILES
    if not row.module:
        raise refused(ReasonKind.PLATFORM_REFUSED, f"{scheme}:", problem=f"{scheme} is not available in this version")
    try:
        module = importlib.import_module(row.module)
    except ModuleNotFoundError as error:
        if not row.library or error.name != row.library:
            raise
        raise refused(ReasonKind.TOOL_MISSING, row.library, tool=row.library, package=row.package) from error
    maker: Callable[[Settings], Platform] = module.make
    return maker(settings)
