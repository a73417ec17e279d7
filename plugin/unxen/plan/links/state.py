# SPDX-License-Identifier: Apache-2.0
"""A link is as strong as its findings: broken when one is, else unknown when one is, else it holds.

Touches nothing.
"""

from collections.abc import Iterable

from unxen.model.judgement import Finding, Link, LinkName, LinkState


def link(name: LinkName, findings: Iterable[Finding]) -> Link:
    """The link that these findings make."""
    made = tuple(findings)
    states = {finding.state for finding in made}
    weakest = (state for state in (LinkState.BROKEN, LinkState.UNKNOWN) if state in states)
    return Link(name, next(weakest, LinkState.HOLDS), made)
