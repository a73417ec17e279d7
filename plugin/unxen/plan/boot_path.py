# SPDX-License-Identifier: Apache-2.0
"""The boot path is one model with three uses: it gives the verdict, the plan makes it whole, and the verification walks it again.

Touches nothing. One chain is one control set on one bus; its links stand in `links`, in the order in which Windows needs them.
"""

from collections.abc import Callable

from unxen.model.ids import Bus
from unxen.model.judgement import Link, LinkState
from unxen.plan.links.boot_drivers import buses_link, disk_link
from unxen.plan.links.controller import controller_filters_link, controller_link
from unxen.plan.links.xen_drivers import xen_link
from unxen.plan.view import View


def _firmware_link(view: View, _bus: Bus) -> Link:
    return view.firmware


LINKS: tuple[Callable[[View, Bus], Link], ...] = (
    _firmware_link,
    buses_link,
    controller_link,
    controller_filters_link,
    disk_link,
    xen_link,
)


def walk(view: View, bus: Bus) -> tuple[Link, ...]:
    """All links of one bus."""
    return tuple(each(view, bus) for each in LINKS)


def first_broken(links: tuple[Link, ...]) -> Link | None:
    """The link that would stop Windows first, or None."""
    return next((link for link in links if link.state is LinkState.BROKEN), None)
