# SPDX-License-Identifier: Apache-2.0
"""A guest without a whole machine under it was never a Windows: it is refused with that cause, however it was described.

Touches nothing.
"""

from unxen.errors import refused
from unxen.model.machine import GuestKind
from unxen.model.reason import ReasonKind


def hvm_only(kind: GuestKind, name: str) -> None:
    """Refused(PARAVIRTUAL_GUEST) for PV and PVH."""
    if kind is not GuestKind.HVM:
        raise refused(ReasonKind.PARAVIRTUAL_GUEST, name, guest_kind=kind.value.upper())
