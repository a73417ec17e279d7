# SPDX-License-Identifier: Apache-2.0
"""Every reason is told in the same three parts, so that none of them can be forgotten where a row is written.

Touches nothing.
"""

from unxen.model.record import dataclass


@dataclass(frozen=True)
class ReasonText:
    """Templates: what happened, why (may fill to nothing), what to do."""

    what: str
    cause: str
    remedy: str
