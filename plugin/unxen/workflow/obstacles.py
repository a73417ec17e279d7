# SPDX-License-Identifier: Apache-2.0
"""A look must not promise a repair that could not be done: what would refuse it, asked without taking or writing anything.

Reads file states and the journal. Gives reasons instead of raising them, so that the judgement is shown beside them.
"""

from collections.abc import Sequence

from unxen.errors import Refused
from unxen.host.files import read_only_cause
from unxen.journal.unfinished import unfinished_commits
from unxen.model.disk import ImageChain
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.settings import Settings
from unxen.probe.images import check_writable_headers


def unwritable(chains: Sequence[ImageChain]) -> tuple[Reason, ...]:
    """Why these disks must not be written, in the order in which a repair would find out."""
    return tuple(each for chain in chains for each in _unwritable(chain))


def _unwritable(chain: ImageChain) -> tuple[Reason, ...]:
    try:
        check_writable_headers(chain)
    except Refused as error:
        return error.reasons
    cause = read_only_cause(chain.disk.path)
    return (reason(ReasonKind.READ_ONLY, chain.disk.path, cause=cause),) if cause else ()


def unfinished(chains: Sequence[ImageChain], settings: Settings) -> tuple[Reason, ...]:
    """The repairs of these disks, or of what they are built on, that a crash left in the middle of their writing."""
    return unfinished_commits(settings.state_dir, [layer.path for chain in chains for layer in chain.layers])
