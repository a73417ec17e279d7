# SPDX-License-Identifier: Apache-2.0
"""A repair counts only when the overlay, looked at with the same eyes, shows the plan done and nothing else changed.

Reads the overlay and the disk below it. Whatever is not as it should be is Refused(ROLLED_BACK) naming the problem; the disk itself
was not touched.
"""

from collections.abc import Sequence

from unxen.errors import Refused, refused
from unxen.host.nbd_client import NbdClient, Range
from unxen.model.edit import InstallationPlan
from unxen.model.facts import GuestFacts
from unxen.model.ids import Bus, InstallationId
from unxen.model.judgement import Judgement
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.registry.changes import deviations, expected_changes
from unxen.registry.flaws import Flaw, Proof, refuse_forbidding

SECTOR = 512
MOST_CHANGED = 2 << 30
"""Far more than a hive with all that an appliance keeps of its books; a daemon that was taken over could name the whole disk."""


@dataclass(frozen=True)
class EditedHive:
    """One installation's hive on its way: as it was read, with what its logs held, and as it shall be."""

    plan: InstallationPlan
    before: bytes
    after: bytes


def failed(problem: str, subject: str = "", **details: object) -> Refused:
    """A repair that must not go on."""
    return refused(ReasonKind.ROLLED_BACK, subject, problem=problem, **details)


def verify_hive(edited: EditedHive, found: bytes | None, had: Sequence[Flaw], proof: Proof) -> None:
    """The overlay's hive is the edited one, differs from before by the plan alone, and has no flaw that was not there.

    `had` are the flaws of the hive as it was read; `proof` is about the hive as it was read and the edited one.
    """
    where = edited.plan.installation
    refuse_forbidding(had, where)
    if found != edited.after:
        raise failed("the hive in the overlay is not the edited one", where)
    if odd := deviations(proof.changes, expected_changes(edited.plan.edits)):
        raise failed("the registry differs by more or less than the plan", where, cause=f"{odd[0].kind.value} {odd[0].key}")
    if new := [each for each in proof.flaws if each not in had]:
        raise failed("the edited hive has a flaw", where, cause=new[0].kind.value)


def verify_chains(before: Judgement, after: Judgement, planned: Sequence[InstallationId]) -> None:
    """Judged again, every planned installation reaches its disk on the bus, and nothing is left to do.

    Where nothing but fixes was wanted, every boot path that was whole still is.
    """
    if not after.plan.empty:
        raise failed("edits are left to do after the repair", cause=str(after.plan.id))
    buses = frozenset(Bus) if before.fixes_only else frozenset({before.bus})
    was_whole = {(each.installation, chain.bus) for each in before.installations for chain in each.chains if chain.whole}
    for each in after.installations:
        chains = [chain for chain in each.chains if chain.bus in buses]
        wanted = [chain for chain in chains if not before.fixes_only or (each.installation, chain.bus) in was_whole]
        if each.installation in planned and not (chains and all(chain.whole for chain in wanted)):
            raise failed("the boot path is not whole after the repair", each.installation)


def verify_installations(before: GuestFacts, after: GuestFacts) -> None:
    """The same installations at the same places, with the same files."""
    if [(each.id, each.hive_path) for each in before.installations] != [(each.id, each.hive_path) for each in after.installations]:
        raise failed("other installations after the repair")


def verify_others(before: GuestFacts, after: GuestFacts, planned: Sequence[InstallationId]) -> None:
    """An installation that was not planned shows the very same facts as before."""
    then = {each.id: each for each in before.installations}
    for each in after.installations:
        if each.id not in planned and each != then[each.id]:
            raise failed("another installation changed", each.id)


def verify_ranges(above: NbdClient, below: NbdClient, allowed: Sequence[Range]) -> None:
    """Every sector of the disk that differs lies in a range that may."""
    changed = above.top_ranges()
    if sum(each.length for each in changed) > MOST_CHANGED:
        raise failed("more bytes changed than a repair can change")
    for each in changed:
        old, new = below.read(each.start, each.length), above.read(each.start, each.length)
        for at in range(0, each.length, SECTOR):
            if old[at : at + SECTOR] != new[at : at + SECTOR] and not _inside(each.start + at, allowed):
                raise failed("bytes outside of the hive differ", cause=f"sector at {each.start + at}")


def _inside(place: int, allowed: Sequence[Range]) -> bool:
    return any(each.start <= place < each.end for each in allowed)
