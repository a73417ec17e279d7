# SPDX-License-Identifier: Apache-2.0
"""A wrong word in the configuration stops unxen with file, line and a suggestion; no configuration is fine."""

from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host.config import ROOT_STATE, knowledge_rows, load_settings
from unxen.model.ids import Bus
from unxen.model.reason import Reason, ReasonKind
from unxen.model.settings import Delivery, Settings
from unxen.report.messages import tell_reason


@pytest.fixture
def config(tmp_path: Path):
    path = tmp_path / "unxen.toml"

    def load(text: str | bytes) -> Settings:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_settings({"UNXEN_CONFIG": str(path), "UNXEN_STATE_DIR": "/state"}, uid=0)

    return load


def wrong(config, text: str | bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        config(text)
    assert caught.value.first.kind is ReasonKind.CONFIG_INVALID
    return caught.value.first


def test_no_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_settings({"UNXEN_CONFIG": str(tmp_path / "none"), "UNXEN_STATE_DIR": "/s"}, uid=0) == Settings(Path("/s"))


def test_every_key_is_read(config) -> None:
    settings = config(
        """
knowledge_dir = "/k"
backing_dirs = ["/pool", "/base"]
preference = ["ide", "scsi"]
delivery = "appliance"
wait_seconds = 1.5
repair_guests_that_ran_on_kvm = true
undo_days = 7
"""
    )
    assert settings == Settings(
        state_dir=Path("/state"),
        knowledge_dir=Path("/k"),
        backing_dirs=(Path("/pool"), Path("/base")),
        preference=(Bus.IDE, Bus.VIRTIO_SCSI),
        delivery=Delivery.APPLIANCE,
        wait_seconds=1.5,
        repair_guests_that_ran_on_kvm=True,
        undo_days=7,
    )


@pytest.mark.parametrize(
    ("text", "line", "key", "suggestion"),
    [
        ("\nbacking_dir = []\n", "2", "backing_dir", "backing_dirs"),
        ('delivery = "aplliance"', "1", "delivery", "appliance"),
        ('# a\n# b\npreference = ["satta"]', "3", "preference", "sata"),
        ("[wait_second]\nx = 1\n", "1", "wait_second", "wait_seconds"),
    ],
)
def test_misspelling_gets_line_and_suggestion(config, text, line, key, suggestion) -> None:
    found = wrong(config, text)
    assert (found.detail("line"), found.detail("key"), found.detail("suggestion")) == (line, key, suggestion)
    assert f"did you mean {suggestion}?" in tell_reason(found).remedy


@pytest.mark.parametrize(
    "text",
    [
        'undo_days = "7"',
        "undo_days = 7.5",
        "undo_days = -1",
        "undo_days = true",
        "wait_seconds = true",
        "wait_seconds = nan",
        "repair_guests_that_ran_on_kvm = 1",
        'backing_dirs = "/pool"',
        'backing_dirs = ["pool"]',
        "backing_dirs = [1]",
        'preference = ["xen"]',
        "preference = []",
        'knowledge_dir = "relative"',
        "delivery = 1",
        "state_dir = '/x'",
    ],
)
def test_nothing_is_coerced(config, text: str) -> None:
    found = wrong(config, text)
    assert found.detail("line") == "1"
    assert found.detail("expected")


def test_broken_toml_names_its_line(config) -> None:
    assert wrong(config, "a = 1\nb = [\n").detail("line") in ("2", "3", "")
    assert wrong(config, "undo_days = 1\nundo_days = = 2\n").detail("line") == "2"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"#" * (1 << 20) + b"#"])
def test_what_is_no_text_is_refused(config, data: bytes) -> None:
    wrong(config, data)


def test_state_directory_follows_the_user(tmp_path: Path) -> None:
    none = {"UNXEN_CONFIG": str(tmp_path / "none")}
    assert load_settings(none, uid=0).state_dir == ROOT_STATE
    assert load_settings({**none, "HOME": "/home/u"}, uid=1000).state_dir == Path("/home/u/.local/state/unxen")
    assert load_settings({**none, "XDG_STATE_HOME": "/x"}, uid=1000).state_dir == Path("/x/unxen")
    assert load_settings({**none, "UNXEN_STATE_DIR": "/s"}, uid=1000).state_dir == Path("/s")


def test_knowledge_of_administrators_comes_as_text_in_order(tmp_path: Path) -> None:
    for name in ("20-b.toml", "10-a.toml", "README", "30-c.toml.bak"):
        (tmp_path / name).write_text(name)
    rows = knowledge_rows(Settings(tmp_path, knowledge_dir=tmp_path))
    assert [(Path(name).name, text) for name, text in rows] == [("10-a.toml", "10-a.toml"), ("20-b.toml", "20-b.toml")]


def test_no_knowledge_directory_is_fine(tmp_path: Path) -> None:
    assert knowledge_rows(Settings(tmp_path, knowledge_dir=tmp_path / "none")) == ()
