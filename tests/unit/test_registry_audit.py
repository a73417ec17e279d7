# SPDX-License-Identifier: Apache-2.0
"""The audit names every kind of damage that it knows, and nothing in sound hives."""

import struct

import pytest
from registry.cell_hives import Key, Shape, make
from unxen.registry import audit_cells
from unxen.registry.audit import audit
from unxen.registry.flaws import TOLERATED, Flaw, FlawKind, forbidding
from unxen.registry.hive import Hive

TREE = Key(
    values={"Start": (4, b"\3\0\0\0"), "List": (7, b"a\0b\0\0\0\0\0"), "big": (3, b"x" * 40000)},
    keys={
        "Alpha": Key(values={"only": (1, b"x\0y\0z\0")}, security=1, class_name=b"c\0l\0"),
        "Beta": Key(keys={"one": Key(), "two": Key(security=2)}),
        "Gamma": Key(),
    },
)
NK, VK, LIST, SK = 4, 4, 4, 4


class Hurt:
    """A sound hive and ways to spoil it, places found through hivex."""

    def __init__(self) -> None:
        self.sound = make(TREE)
        self.data = bytearray(self.sound)
        self.hive = Hive.read(self.sound)

    def key(self, path: str) -> int:
        return self.hive.key(path).handle

    def value(self, path: str, name: str) -> int:
        return self.hive.key(path).value(name).handle

    def number(self, at: int) -> int:
        return struct.unpack_from("<I", self.data, at)[0]

    def cell(self, at: int) -> int:
        """File offset of the cell that the number there points to."""
        return 4096 + self.number(at)

    def put(self, at: int, form: str, *numbers: object) -> None:
        struct.pack_into(form, self.data, at, *numbers)


def bin_header(hurt):
    hurt.put(4096, "<4s", b"xxxx")


def cell_size(hurt):
    hurt.put(hurt.key("Gamma"), "<i", -12)


def reference(hurt):
    hurt.put(hurt.value("", "List") + 4 + 8, "<I", 0x7FFFFFF8)


def freed(hurt):
    at = hurt.cell(hurt.value("", "List") + 4 + 8)
    hurt.put(at, "<i", -struct.unpack_from("<i", hurt.data, at)[0])


def shared(hurt):
    hurt.put(hurt.value("", "List") + 4 + 8, "<I", hurt.number(hurt.value("Alpha", "only") + 4 + 8))


def signature(hurt):
    hurt.put(hurt.key("Gamma") + 4, "<2s", b"vk")


def data_longer_than_cell(hurt):
    hurt.put(hurt.value("", "List") + 4 + 4, "<I", 400)
    hurt.put(hurt.key("") + 4 + 64, "<I", 40000)


def value_list_shorter_than_count(hurt):
    hurt.put(hurt.key("") + 4 + 36, "<I", 9)


def parent(hurt):
    hurt.put(hurt.key("Gamma") + 4 + 16, "<I", hurt.key("Beta") - 4096)


def name_longer_than_cell(hurt):
    hurt.put(hurt.key("Gamma") + 4 + 72, "<H", 500)


def subkey_count(hurt):
    hurt.put(hurt.key("") + 4 + 20, "<I", 4)


def unknown_list(hurt):
    hurt.put(hurt.cell(hurt.key("") + 4 + 28) + 4, "<2s", b"xx")


def list_in_list_in_list(hurt):
    at = hurt.cell(hurt.key("") + 4 + 28)
    hurt.put(at + 4, "<2sHI", b"ri", 1, at - 4096)


def order(hurt):
    at = hurt.cell(hurt.key("") + 4 + 28) + 8
    first, second = bytes(hurt.data[at : at + 8]), bytes(hurt.data[at + 8 : at + 16])
    hurt.data[at : at + 16] = second + first


def name_hash(hurt):
    hurt.put(hurt.cell(hurt.key("") + 4 + 28) + 12, "<I", 1)


def inline_of_five(hurt):
    hurt.put(hurt.value("", "Start") + 4 + 4, "<I", 0x80000005)


def segments(hurt):
    hurt.put(hurt.value("", "big") + 4 + 4, "<I", 16345)


def empty_list(hurt):
    hurt.put(hurt.key("Gamma") + 4 + 28, "<I", hurt.key("Gamma") - 4096)


def subkey_maximum(hurt):
    hurt.put(hurt.key("") + 4 + 52, "<I", 2)


def value_maximum(hurt):
    hurt.put(hurt.key("Alpha") + 4 + 64, "<I", 2)


def ring(hurt):
    at = hurt.cell(hurt.key("") + 4 + 44)
    hurt.put(at + 4 + 4, "<I", at - 4096)


def two_rings(hurt):
    """The tree has three descriptors; the first is left alone in a ring of its own."""
    first, second, third = (hurt.cell(hurt.key(path) + 4 + 44) for path in ("", "Alpha", "Beta\\two"))
    hurt.put(first + 4 + 4, "<II", first - 4096, first - 4096)
    hurt.put(second + 4 + 4, "<II", third - 4096, third - 4096)
    hurt.put(third + 4 + 4, "<II", second - 4096, second - 4096)


def holders(hurt):
    at = hurt.cell(hurt.key("") + 4 + 44)
    hurt.put(at + 4 + 12, "<I", hurt.number(at + 4 + 12) + 1)


def leaked(hurt):
    hurt.put(hurt.key("Alpha") + 4 + 48, "<I", 0xFFFFFFFF)


DAMAGE = [
    (bin_header, FlawKind.BIN),
    (cell_size, FlawKind.CELL_SIZE),
    (reference, FlawKind.REFERENCE),
    (freed, FlawKind.REFERENCE),
    (shared, FlawKind.SHARED),
    (leaked, FlawKind.LEAKED),
    (signature, FlawKind.SIGNATURE),
    (data_longer_than_cell, FlawKind.CELL_TOO_SMALL),
    (value_list_shorter_than_count, FlawKind.CELL_TOO_SMALL),
    (parent, FlawKind.PARENT),
    (name_longer_than_cell, FlawKind.NAME),
    (subkey_count, FlawKind.SUBKEY_COUNT),
    (unknown_list, FlawKind.SUBKEY_LIST),
    (list_in_list_in_list, FlawKind.SHARED),
    (order, FlawKind.ORDER),
    (name_hash, FlawKind.HASH),
    (inline_of_five, FlawKind.DATA_SIZE),
    (segments, FlawKind.BIG_DATA),
    (empty_list, FlawKind.EMPTY_LIST),
    (subkey_maximum, FlawKind.SUBKEY_MAXIMUM),
    (value_maximum, FlawKind.VALUE_MAXIMUM),
    (ring, FlawKind.SECURITY_RING),
    (two_rings, FlawKind.SECURITY_RING),
    (holders, FlawKind.SECURITY_COUNT),
]


@pytest.mark.parametrize(("spoil", "kind"), DAMAGE, ids=[spoil.__name__ for spoil, _ in DAMAGE])
def test_damage_is_named(spoil, kind):
    hurt = Hurt()
    spoil(hurt)
    assert kind in {flaw.kind for flaw in audit(bytes(hurt.data))}


def test_every_kind_of_flaw_is_provoked_here():
    assert {kind for _, kind in DAMAGE} | {FlawKind.TOO_MANY} == set(FlawKind)


@pytest.mark.parametrize("signature", [b"lh", b"lf", b"li"])
@pytest.mark.parametrize("most", [500, 2])
@pytest.mark.parametrize("minor", [3, 5, 6])
def test_sound_hives_of_every_shape_have_no_flaw(signature, most, minor):
    assert audit(make(TREE, Shape(signature, most, spare=3, minor=minor))) == ()


def test_description_of_a_hopeless_hive_ends(monkeypatch):
    monkeypatch.setattr(audit_cells, "MAX_FLAWS", 1)
    hurt = Hurt()
    reference(hurt)
    signature(hurt)
    parent(hurt)
    assert FlawKind.TOO_MANY in {flaw.kind for flaw in audit(bytes(hurt.data))}


@pytest.mark.parametrize("place", range(4096, 4096 + 1400, 4))
def test_any_overwritten_number_is_described_without_an_exception(place):
    data = bytearray(make(TREE))
    for number in (0xFFFFFFF8, 0x80000000, 1):
        struct.pack_into("<I", data, place, number)
        audit(bytes(data))


def test_only_harmless_kinds_are_tolerated_and_each_has_a_reason():
    assert set(TOLERATED) == {FlawKind.LEAKED, FlawKind.SUBKEY_MAXIMUM, FlawKind.EMPTY_LIST}
    assert all(TOLERATED.values())
    flaws = tuple(Flaw(kind, 0, "") for kind in FlawKind)
    assert {flaw.kind for flaw in forbidding(flaws)} == set(FlawKind) - set(TOLERATED)


SOUND = [
    "win10-10240-x64-dell-partial/SYSTEM",
    "win10-1709-x64-dell-dirty-logs/SYSTEM.recovered",
    "win10-19041-x64-vmware/SYSTEM",
    "win7-sp1-x86-vmware-wks/SYSTEM",
    "win81-x64-virtualbox-dirty-nologs/SYSTEM",
    "winnt4-x86-dc-buslogic/SYSTEM",
    "win10-x64-userhives-dirty-logs/UsrClass.dat.recovered",
    "yarp-olddirty/RecoveredHive_Windows7",
    "yarp-wellformed/BigDataHive",
    "yarp-wellformed/ManySubkeysHive",
    "yarp-wellformed/UnicodeHive",
]
# Number of keys whose "largest subkey name" is too small, as Windows itself left them.
SMALL_MAXIMA = {
    "win2003-sp1-x86-vmware-dc/SYSTEM": 1,
    "winxp-sp3-x86-dell-m57pat/SYSTEM": 24,
    "winxp-sp3-x86-virtualpc-iecompat/SYSTEM": 2,
}


@pytest.mark.corpus
@pytest.mark.parametrize("name", SOUND)
def test_real_hives_are_sound(corpus, name):
    assert audit(corpus.read(name)) == ()


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "count"), SMALL_MAXIMA.items())
def test_real_hives_of_nt_5_have_too_small_maxima_and_no_other_flaw(corpus, name, count):
    assert [flaw.kind for flaw in audit(corpus.read(name))] == [FlawKind.SUBKEY_MAXIMUM] * count


@pytest.mark.corpus
def test_hive_that_windows_recovered_holds_leaked_keys_and_no_other_flaw(corpus):
    assert {flaw.kind for flaw in audit(corpus.read("yarp-newdirty1/RecoveredHive_Windows10"))} == {FlawKind.LEAKED}


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("winxp-x86-vmware-corrupted/SYSTEM", FlawKind.BIN),
        ("yarp-malformed/BadListHive", FlawKind.SHARED),
        ("yarp-malformed/BadSubkeyHive", FlawKind.SHARED),
        ("yarp-malformed/CompHive", FlawKind.HASH),
        ("yarp-malformed/DuplicateSubkeysHive", FlawKind.ORDER),
        ("yarp-malformed/EffectiveSizeHive", FlawKind.REFERENCE),
        ("yarp-malformed/HealedHive", FlawKind.SECURITY_RING),
        ("yarp-malformed/InvalidParentHive", FlawKind.PARENT),
        ("yarp-malformed/TruncatedNameHive", FlawKind.NAME),
        ("yarp-malformed/WrongOrderHive", FlawKind.ORDER),
        ("ez-odd/SAMBadHBinHeader", FlawKind.BIN),
    ],
)
def test_malformed_hives_of_others_are_found_out(corpus, name, kind):
    assert kind in {flaw.kind for flaw in forbidding(audit(corpus.read(name)))}
