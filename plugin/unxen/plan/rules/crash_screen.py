# SPDX-License-Identifier: Apache-2.0
"""A stop code stays on the screen until somebody has read it, instead of a restart after a second; only when that is asked for.

Sources: virt-v2v (convert_windows.ml sets AutoReboot to 0 for the same reason); hives of XP to 10 (1 in all of them). Touches
nothing.
"""

from unxen.model.edit import Edit
from unxen.model.fix import Fix
from unxen.model.ids import Bus
from unxen.plan.edits import Cause, dword, set_number
from unxen.plan.view import View

RULE = "crash_screen"
WHY = "Windows stops at a blue screen so that its code can be read, instead of starting again at once"
SOURCE = "virt-v2v convert_windows.ml (AutoReboot); hives of XP to 10"
VALUE, STAYS = "AutoReboot", 0


def edits(view: View, _bus: Bus) -> list[Edit]:
    """One edit where Windows restarts by itself."""
    found = view.control_set.first_start
    if Fix.CRASH_SCREEN not in view.fixes or found.crash_key is None:
        return []
    if not isinstance(found.auto_reboot, int) or found.auto_reboot == STAYS:
        return []
    cause = Cause(RULE, WHY, SOURCE, Fix.CRASH_SCREEN in view.fixes.asked)
    return [set_number(view, found.crash_key, VALUE, dword(found.auto_reboot), STAYS, cause)]
