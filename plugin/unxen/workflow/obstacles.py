# SPDX-License-Identifier: Apache-2.0
"""A look must not promise a repair that could not be done: what would refuse it, asked without taking or writing anything.

Reads file states and the journal. Gives reasons instead of raising them, so that the judgement is shown beside them.
"""

from collections.abc import Sequence

from unxen.errors import Refused
from unxen.host.files import read_only_cause
from unxen.host.locks import disk_key
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
    """The repairs of these disks that a crash left in the middle of their writing."""
    if not settings.state_dir.is_dir():
        return ()
    # SQLite is loaded only where there is a journal at all: a look has to start quickly.
    from unxen.journal.records import EntryState
    from unxen.journal.store import has_journal, open_journal

    if not has_journal(settings.state_dir):
        return ()
    keys = {disk_key(chain.disk.path): chain.disk.path for chain in chains}
    with open_journal(settings.state_dir) as journal:
        entries = journal.in_states((EntryState.COMMITTING,))
    return tuple(
        reason(ReasonKind.COMMIT_UNFINISHED, keys[disk.key], entry=entry.id)
        for entry in entries
        for disk in entry.disks
        if disk.key in keys
    )
