# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes a definition or an export holds, its reader gives a machine or says what is wrong, and nothing else happens."""

import os
from contextlib import suppress

import pytest
from generators.xva import ExportedDisk, ExportedMachine, make_xva, member, ova_xml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unxen.errors import Refused
from unxen.platforms.xen.definition import read_definition
from unxen.platforms.xen.disk_spec import parse_disk
from unxen.platforms.xen.mappings import mappings
from unxen.platforms.xen.ova_xml import read_ova
from unxen.platforms.xen.pieces import Broken, unwrapped
from unxen.platforms.xen.tar_members import members
from unxen.platforms.xen.unreadable import Unreadable
from unxen.platforms.xen.vif_spec import parse_card
from unxen.platforms.xen.xl_cfg import machine_of
from unxen.platforms.xen.xl_syntax import read_settings
from unxen.platforms.xen.xva_blocks import blocks

quiet = settings(
    max_examples=int(os.environ.get("FUZZ", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORDS = sorted({*mappings().words["xl_option"], "other"})
NAME = st.sampled_from(WORDS)
TEXT = st.text(max_size=12)
VALUE = st.recursive(st.integers(-(1 << 40), 1 << 40) | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
SPEC = st.lists(
    st.sampled_from(
        [
            *mappings().words["disk_key"],
            "hda",
            "/dev/a",
            "",
            "r",
            "hdc:cdrom",
            "phy:",
            "vdev=xvda",
            "format=",
            "target=",
            ":",
            "=",
            "x=y",
        ]
    )
    | TEXT,
    max_size=6,
).map(",".join)


def written(value: object) -> str:
    """A value in xl's grammar."""
    if isinstance(value, list):
        return f"[ {', '.join(map(written, value))} ]"
    if isinstance(value, int):
        return str(value)
    escaped = "".join(f"\\{letter}" if letter in "\\\"'" else "\\n" if letter == "\n" else letter for letter in str(value))
    return f'"{escaped}"'


@quiet
@given(st.dictionaries(NAME, VALUE, max_size=4))
def test_settings_come_back_as_they_were_written(settings_):
    text = "".join(f"{name} = {written(value)}\n" for name, value in settings_.items())
    assert {each.name: each.value for each in read_settings(text)} == settings_


@quiet
@given(st.dictionaries(NAME, VALUE, max_size=6))
@example({"vcpus": 1 << 39})
@example({"viridian": ["!base", "all"]})
@example({"disk": [["a"]]})
def test_every_setting_gives_a_machine_or_a_reason(settings_):
    text = 'type = "hvm"\nname = "x"\n' + "".join(f"{name} = {written(value)}\n" for name, value in settings_.items())
    with suppress(Unreadable, Refused):
        machine_of(read_settings(text))


@quiet
@given(SPEC)
def test_every_disk_is_read_or_refused(text):
    with suppress(Unreadable):
        spec = parse_disk(text)
        assert spec.vdev


@quiet
@given(SPEC | TEXT)
def test_every_card_is_read_or_refused(text):
    with suppress(Unreadable):
        parse_card(text, 0, mappings())


@quiet
@given(st.binary(max_size=200) | st.text(alphabet="abc=[]()'\"\\,;#\n \t0x1.-+<>&/!", max_size=200).map(str.encode))
def test_every_file_is_read_or_refused(tmp_path, data):
    path = tmp_path / "definition"
    path.write_bytes(data)
    with suppress(Refused):
        read_definition(str(path))


DOMAIN = (
    b"<domain type='xen'><name>x</name><memory unit='KiB'>65536</memory><vcpu current='1'>2</vcpu>"
    b"<os><type machine='xenfv'>hvm</type></os><clock offset='variable' adjustment='7'/><devices>"
    b"<disk type='file'><source file='/a'/><target dev='hda'/></disk>"
    b"<interface type='bridge'><mac address='00:16:3e:00:00:01'/><mtu size='1400'/></interface></devices></domain>"
)
OVA = ova_xml(ExportedMachine(), [ExportedDisk(b"x" * 512)])


def bent(data: st.DataObject, original: bytes) -> bytes:
    """The original with some of its bytes replaced, doubled or left out."""
    made = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(made)))
        length = data.draw(st.sampled_from([0, 1, 1, 4, 30]))
        made[start : start + length] = data.draw(st.binary(max_size=4) | st.just(bytes(made[start : start + 20])))
    return bytes(made)


@quiet
@given(st.data())
def test_bent_domain_is_read_or_refused(tmp_path, data):
    path = tmp_path / "domain.xml"
    path.write_bytes(bent(data, DOMAIN))
    with suppress(Refused):
        read_definition(str(path))


@quiet
@given(st.data())
def test_bent_ova_xml_is_read_or_refused(data):
    with suppress(Broken, Refused):
        read_ova(bent(data, OVA))


@pytest.mark.parametrize("wrap", ["", "gzip", "zstd"])
@quiet
@given(data=st.data())
def test_bent_export_is_refused_or_gives_the_right_bytes(wrap, data):
    """In this process, not in the box: what must not happen there either is an exception that nobody foresaw."""
    disk = ExportedDisk(b"abc" * 500)
    out, into = os.pipe()
    os.write(into, bent(data, make_xva(ExportedMachine(), [disk], wrap=wrap)))
    os.close(into)
    try:
        archive = members(unwrapped(out), 1 << 20)
        next(archive, None)
        found = b"".join(each.data for each in blocks(archive, {"Ref:7": len(disk.content)}, ()))
        assert found == disk.content
    except Broken:
        pass
    finally:
        os.close(out)


def test_member_of_every_length_ends_where_it_should():
    out, into = os.pipe()
    lengths = [0, 1, 511, 512, 513, 1024]
    os.write(into, b"".join(member(str(length), bytes(length)) for length in lengths) + bytes(1024))
    os.close(into)
    assert [len(each.data) for each in members(unwrapped(out), 4096)] == lengths
    os.close(out)
