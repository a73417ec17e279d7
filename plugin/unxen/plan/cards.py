# SPDX-License-Identifier: Apache-2.0
"""Which network card a Windows has a driver for: a new machine without one has lost its network, whatever its addresses were.

Touches nothing. Windows looks network cards up in a hive that is not read (DRIVERS), so a driver that it does not bring along has
to show as a service that is not disabled and whose file is there.
"""

from collections.abc import Callable, Sequence

from unxen.knowledge.tables import NetworkCard, NtVersion
from unxen.plan.drivers import file_is_there
from unxen.plan.names import in_range
from unxen.plan.view import View

DISABLED = 4


def card_models(rows: Sequence[NetworkCard], version: NtVersion, installed: Callable[[str], bool]) -> tuple[str, ...]:
    """Models of cards for this Windows, the best first; the last of the table where its version is not known."""
    if not version[0]:
        return (rows[-1].model,) if rows else ()
    fitting = (row for row in rows if in_range(version, row.nt_from, row.nt_to))
    return tuple(row.model for row in fitting if not row.installed or installed(row.installed))


def cards_of(views: Sequence[View]) -> tuple[str, ...]:
    """Models of cards that every control set of an installation has a driver for."""
    first = views[0]
    usable = lambda name: all(_usable(view, name) for view in views)  # noqa: E731
    return card_models(first.knowledge.network_cards, first.windows.version, usable)


def shared_card(choices: Sequence[tuple[str, ...]]) -> str:
    """The best model that is among the choices of every installation; empty when there is none."""
    every = list(choices)
    return next((model for model in (every[0] if every else ()) if all(model in each for each in every)), "")


def _usable(view: View, name: str) -> bool:
    service = view.service(name)
    return service is not None and isinstance(service.start, int) and service.start < DISABLED and file_is_there(service)
