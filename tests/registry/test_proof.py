# SPDX-License-Identifier: Apache-2.0
"""The quick ways to audit and to compare say what the long ways say, about sound hives, damaged ones and edited ones."""

import struct
from collections.abc import Callable
from random import Random

import pytest
from generators.hives import plant, windows_hive
from registry.cell_hives import Key, Shape, make
from registry.edits import dword, set_value
from unxen.errors import Refused
from unxen.registry import hive, proof
from unxen.registry.audit import audit, full_audit, sound_audit, sound_audit_again
from unxen.registry.audit_cells import read_bins
from unxen.registry.base_block import read_base_block
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive

TREE = Key(
    values={"Start": (4, b"\3\0\0\0"), "List": (7, b"a\0b\0\0\0\0\0"), "big": (3, b"x" * 40000), "ünïcode": (1, b"x\0\0\0")},
    keys={
        "Alpha": Key(values={"only": (1, b"x\0y\0z\0")}, security=1, class_name=b"c\0l\0"),
        "Beta": Key(keys={"one": Key(), "two": Key(security=2, values={"Start": (4, b"\0\0\0\0")})}),
        "Größe": Key(keys={"deep": Key(keys={"deeper": Key(values={"a": (3, b"12345678")})})}),
    },
)
SHAPES = [Shape(b"lh", 3), Shape(b"lf", 2), Shape(b"li", 2)]
WORDS = (0, 1, 2, 8, 0xFFFFFFF8, 0xFFFFFFFF, 0x80000004, 0x20, 0x28, 0x7FFFFFF8)


def hurt(data: bytes, random: Random) -> bytes:
    """The hive with one to three numbers of its used pages changed."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(4096, len(data) - 4, random.choice((1, 4)))
        change = random.choice((random.choice(WORDS), struct.unpack_from("<I", data, at)[0] ^ 1 << random.randrange(32)))
        struct.pack_into("<I", changed, at, change)
    return bytes(changed)


def outcome(call: Callable[[bytes, bytes], tuple], before: bytes, after: bytes) -> tuple | None:
    """What came of it; None for a refusal."""
    try:
        return call(before, after)
    except Refused:
        return None


def proved(before: bytes, after: bytes) -> tuple:
    return proof.prove(before, after).changes


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.signature.decode())
def test_damaged_hives_are_judged_alike(shape) -> None:
    sound, random = make(TREE, shape), Random(shape.signature)
    assert sound_audit(sound) is not None
    agreed = 0
    for _ in range(400):
        data = hurt(sound, random)
        agreed += sound_audit(data) is not None
        assert audit(data) == full_audit(data)
    assert 10 < agreed < 390, "some stay sound, some do not"


@pytest.mark.parametrize("generation", ["xp", "10", "2022"])
def test_damage_of_generated_hives_is_judged_alike(generation) -> None:
    sound, random = windows_hive(generation, families=["xcpng"]), Random(generation)
    for _ in range(12):
        data = hurt(sound, random)
        assert audit(data) == full_audit(data)


@pytest.mark.corpus
def test_real_hives_are_judged_alike(corpus) -> None:
    names = [each for each in corpus.names() if each.rpartition("/")[2].startswith(("SYSTEM", "Recovered"))]
    names += corpus.names("yarp-malformed/") + corpus.names("yarp-wellformed/")
    judged = 0
    for name in names:
        data = corpus.read(name)
        try:
            expected = full_audit(data)
        except Refused:
            continue
        judged += sound_audit(data) is not None
        assert audit(data) == expected, name
    assert judged >= 10


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.signature.decode())
def test_differences_are_found_alike(shape) -> None:
    before, random = make(TREE, shape), Random(shape.most)
    seen = 0
    for _ in range(400):
        after = hurt(before, random)
        if sound_audit(after) is None:
            continue
        found = outcome(proved, before, after)
        assert found == outcome(compare, before, after)
        seen += bool(found)
    assert seen >= 5


def hurt_cells(data: bytes, random: Random) -> bytes:
    """The hive with cells given out or back, copied over each other, or pointed elsewhere."""
    changed = bytearray(data)
    cells = list(read_bins(data, read_base_block(data).bins_size).capacities.items())
    for _ in range(random.randint(1, 3)):
        (cell, room), (other, _) = random.choice(cells), random.choice(cells)
        at = 4096 + cell + 4 + random.randrange(0, max(1, room - 3), 2)
        (number,) = struct.unpack_from("<I", changed, at)
        match random.randrange(4):
            case 0:
                (size,) = struct.unpack_from("<i", changed, 4096 + cell)
                struct.pack_into("<i", changed, 4096 + cell, -size)
            case 1:
                start, length = 4096 + cell + 4, min(room, 32)
                changed[start : start + length] = changed[4096 + other + 4 : 4096 + other + 4 + length]
            case _:
                struct.pack_into(
                    "<I", changed, at, random.choice((other, number ^ 1 << random.randrange(32), (number + 1) % (1 << 32)))
                )
    return bytes(changed)


@pytest.mark.parametrize("harm", [hurt, hurt_cells])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.signature.decode())
def test_what_differs_is_audited_like_the_whole(shape, harm) -> None:
    before, random = make(TREE, shape), Random(shape.most)
    walk = sound_audit(before).walk
    judged = {True: 0, False: 0}
    for _ in range(600):
        after = harm(before, random)
        ranges = list(proof.differing(before, after))
        whole, again = sound_audit(after, ranges), sound_audit_again(after, walk, ranges)
        assert (again is None) == (whole is None)
        judged[again is None] += 1
        if again is not None:
            assert again.flaws == whole.flaws == full_audit(after)
            assert again.owners >= whole.owners
    assert min(judged.values()) > 10


EDITS = {
    "value": '[Beta\\two]\n"Start"=dword:4',
    "list": '[]\n"List"=multi:a',
    "gone value": '[Alpha]\n"only"=-',
    "new value": '[Größe\\deep]\n"new"=dword:1',
    "gone tree": "[-Größe]",
    "gone leaf": "[-Größe\\deep\\deeper]",
    "new key": "[Beta\\three\\four]",
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_are_found_alike_whoever_made_them(edit) -> None:
    before = make(TREE, Shape(b"lh", 3))
    after = plant(before, EDITS[edit])
    found = proof.prove(before, after)
    assert found.changes == compare(before, after) != ()
    assert proof.prove(before, after, sound_audit(before).walk) == found


def test_moved_key_of_the_same_name_is_read_whole() -> None:
    """A subkey list that names another cell under the same name: no byte of either key differs but its parent's place."""
    before = make(Key(keys={name: Key(keys={"same": Key(values={"x": (4, name.encode() * 4)})}) for name in "ab"}))
    read, after = hive.Hive.read(before), bytearray(before)
    places = {path: read.key(path).handle for path in ("a", "b", "a\\same", "b\\same")}
    lists = {path: 4096 + struct.unpack_from("<I", before, places[path] + 4 + 28)[0] for path in ("a", "b")}
    for path, other in (("a", "b"), ("b", "a")):
        struct.pack_into("<I", after, lists[path] + 8, places[f"{other}\\same"] - 4096)
        struct.pack_into("<I", after, places[f"{other}\\same"] + 4 + 16, places[path] - 4096)
    found = proof.prove(before, bytes(after))
    assert found.flaws == full_audit(bytes(after)) == ()
    assert found.changes == compare(before, bytes(after))
    assert {row.key for row in found.changes} == {"a\\same", "b\\same"}


@pytest.mark.parametrize("known", [False, True], ids=["alone", "after an audit"])
def test_only_keys_near_a_change_are_read(monkeypatch, known) -> None:
    before = windows_hive("10", families=["xcpng"])
    after = edit_hive(before, (set_value(before, r"ControlSet001\Services\xenbus", "Start", dword(4)),))
    read: list[str] = []
    real = hive.Key.values
    monkeypatch.setattr(proof, "compare", lambda *_: pytest.fail("both hives were read whole"))
    monkeypatch.setattr(hive.Key, "values", lambda key: read.append(key.path) or real(key))
    walk = sound_audit(before).walk if known else None
    if known:
        monkeypatch.setattr(proof, "sound_audit", lambda *_: pytest.fail("the hive was walked whole"))
    (row,) = proof.prove(before, after, walk).changes
    assert (row.key, row.value_name) == (r"ControlSet001\Services\xenbus", "Start")
    assert set(read) == {"", "ControlSet001", r"ControlSet001\Services", r"ControlSet001\Services\xenbus"}
