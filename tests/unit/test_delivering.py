# SPDX-License-Identifier: Apache-2.0
"""How a hive gets into its file system: in place where it can be, by appliance for layout and room, not at all for the rest."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from unxen.errors import Refused
from unxen.model.hive_facts import ReplayFacts
from unxen.model.ids import DiskNumber, InstallationId, Offset, PartitionNumber
from unxen.model.progress import nobody
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery
from unxen.model.volume_facts import FileRecord, Hibernation, JournalState, Run, Volume
from unxen.repair.delivery import delivering
from unxen.repair.delivery.appliance import ApplianceJob
from unxen.repair.delivery.delivering import Delivered, Parcel, deliver
from unxen.repair.delivery.in_place import obstacle

HIVE = bytes(8192)
RECORD = FileRecord(
    number=40,
    sequence=1,
    record_offset=Offset(1 << 20),
    size=8192,
    allocated=8192,
    initialised=8192,
    runs=(Run(100, 2),),
    resident=False,
    compressed=False,
    encrypted=False,
    sparse=False,
    wof=False,
    attribute_list=False,
    complete=True,
)
VOLUME = Volume(
    disk=DiskNumber(1),
    partition=PartitionNumber(1),
    start=Offset(1 << 20),
    length=1 << 30,
    cluster_size=4096,
    sector_size=512,
    heads=255,
    serial="0",
    dirty=False,
    journal=JournalState.CLEAN,
    hibernation=Hibernation.ABSENT,
)
LAYOUT_AND_ROOM = {
    "attribute-list": {"complete": False},
    "growth": {"initialised": 4096},
    "outside-volume": {"runs": (Run(1 << 30, 2),)},
}
NEVER = {
    "resident": {"resident": True},
    "compressed": {"compressed": True},
    "encrypted": {"encrypted": True},
    "sparse": {"sparse": True},
    "wof": {"wof": True},
}
STATES = {"dirty": {"dirty": True}, "unknown": {"dirty": None}, "journal": {"journal": JournalState.UNCLEAN}}


@pytest.fixture
def ways(monkeypatch) -> list[str]:
    """What was done, without a daemon or an appliance."""
    done: list[str] = []
    monkeypatch.setattr(delivering, "deliver_in_place", lambda *_: done.append("in-place"))
    monkeypatch.setattr(delivering, "deliver_by_appliance", lambda *_: done.append("appliance"))
    return done


def parcel(record: FileRecord = RECORD, volume: Volume = VOLUME, *, replayed: bool = False) -> Parcel:
    installation = SimpleNamespace(
        id=InstallationId("1:1:\\Windows"),
        partition=PartitionNumber(1),
        hive_path="\\SYSTEM",
        hive=SimpleNamespace(replay=ReplayFacts if replayed else None),
    )
    hive = SimpleNamespace(before=HIVE, after=HIVE)
    return Parcel(hive, installation, record, volume, SimpleNamespace(daemon=Daemon()))  # type: ignore[arg-type]


@pytest.mark.parametrize(("replayed", "before"), [(False, HIVE), (True, b"")])
def test_what_the_file_holds_is_known_of_a_hive_that_came_as_it_was(monkeypatch, replayed: bool, before: bytes) -> None:
    jobs: list[ApplianceJob] = []
    monkeypatch.setattr(delivering, "deliver_by_appliance", lambda given, _: jobs.extend(given))
    deliver([parcel(replayed=replayed)], Delivery.APPLIANCE, nobody)
    assert [each.before for each in jobs] == [before]


class Daemon:
    """One that is asked for a client and nothing else."""

    address = Path("/nowhere")

    def client(self) -> "Daemon":
        return self

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def refusal(each: Parcel, wanted: Delivery) -> ReasonKind:
    with pytest.raises(Refused) as refused:
        deliver([each], wanted, nobody)
    return refused.value.first.kind


def test_plain_file_is_written_in_place_unless_the_appliance_is_asked_for(ways) -> None:
    assert deliver([parcel()], Delivery.AUTO, nobody) == Delivered(Delivery.IN_PLACE, "")
    assert deliver([parcel()], Delivery.IN_PLACE, nobody) == Delivered(Delivery.IN_PLACE, "")
    assert deliver([parcel()], Delivery.APPLIANCE, nobody) == Delivered(Delivery.APPLIANCE, "")
    assert ways == ["in-place", "in-place", "appliance"]


@pytest.mark.parametrize("cause", LAYOUT_AND_ROOM)
def test_layout_and_room_lead_to_the_appliance_and_the_cause_is_told(ways, cause) -> None:
    record = replace(RECORD, **LAYOUT_AND_ROOM[cause])
    assert obstacle(record, VOLUME, HIVE) == cause
    assert deliver([parcel(), parcel(record)], Delivery.AUTO, nobody) == Delivered(Delivery.APPLIANCE, cause)
    assert refusal(parcel(record), Delivery.IN_PLACE) is ReasonKind.DELIVERY_IMPOSSIBLE
    assert ways == ["appliance"], "all hives of a guest go one way, once"


@pytest.mark.parametrize("wanted", Delivery)
@pytest.mark.parametrize("kind", NEVER)
def test_kinds_of_file_that_neither_way_may_write_are_refused_by_both(ways, kind, wanted) -> None:
    assert refusal(parcel(replace(RECORD, **NEVER[kind])), wanted) is ReasonKind.HIVE_FILE_NOT_EDITABLE
    assert set(NEVER) == set(delivering.NEITHER)
    assert not ways


@pytest.mark.parametrize("state", STATES)
def test_state_of_a_volume_never_leads_to_the_appliance(ways, state) -> None:
    volume = replace(VOLUME, **STATES[state])
    assert deliver([parcel(volume=volume)], Delivery.AUTO, nobody).way is Delivery.IN_PLACE
    for record in (RECORD, replace(RECORD, complete=False)):
        kind = refusal(parcel(record, volume), Delivery.APPLIANCE)
        assert kind in (ReasonKind.VOLUME_DIRTY, ReasonKind.JOURNAL_UNCLEAN)
    assert ways == ["in-place"]
