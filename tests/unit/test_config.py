# SPDX-License-Identifier: Apache-2.0
"""A wrong word in the configuration stops unxen with file, line and a suggestion; no configuration is fine."""

import json
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from unxen.cli.config import example
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.host.config import ROOT_STATE, knowledge_rows, load_settings, origins
from unxen.host.config_keys import KEYS
from unxen.model.ids import Bus
from unxen.model.reason import Reason, ReasonKind
from unxen.model.settings import Delivery, GuardPolicy, Settings, WatchPolicy
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
undo_bytes = 1000
watch = "report"
watch_poll_seconds = 5
watch_quiet_seconds = 0.5
guard = "repair"
repair_guests_with_snapshots = true
notes = false
libvirt_uri = "qemu:///session"
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
        undo_bytes=1000,
        watch=WatchPolicy.REPORT,
        watch_poll_seconds=5.0,
        watch_quiet_seconds=0.5,
        guard=GuardPolicy.REPAIR,
        repair_guests_with_snapshots=True,
        notes=False,
        libvirt_uri="qemu:///session",
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


def test_every_setting_but_the_state_directory_has_a_key() -> None:
    assert {each.name for each in fields(Settings)} == {"state_dir", *KEYS}


@pytest.mark.parametrize("name", KEYS)
def test_example_of_a_key_is_accepted_and_documented(name: str, config) -> None:
    line = f"{name} = {KEYS[name].example}"
    config(line)
    usage = (Path(__file__).parents[2] / "docs" / "usage.md").read_text()
    assert any(each.startswith(line) and each.endswith(f"# {KEYS[name].meaning}") for each in usage.splitlines())


def test_each_setting_tells_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "unxen.toml"
    path.write_text("# mine\nundo_days = 7\n")
    found = {each.name: each for each in origins({"UNXEN_CONFIG": str(path), "UNXEN_STATE_DIR": "/s"}, uid=0)}
    assert (found["undo_days"].value, found["undo_days"].place, found["undo_days"].line) == (7, str(path), "2")
    assert found["state_dir"].place == "UNXEN_STATE_DIR"
    assert (found["delivery"].place, found["delivery"].line) == ("", "")


def test_shown_configuration_can_be_read_again(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "unxen.toml"
    path.write_text('preference = ["ide"]\n')
    monkeypatch.setenv("UNXEN_CONFIG", str(path))
    assert main(["config", "show"]) == 0
    shown = tomllib.loads(capsys.readouterr().out)
    assert (shown["preference"], shown["undo_days"]) == (["ide"], 30)
    assert main(["config", "show", "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings["preference"] == {"value": ["ide"], "source": str(path), "line": 1}


def test_wrong_configuration_is_told_by_the_verb_that_shows_it(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "unxen.toml"
    path.write_text("undo_day = 7\n")
    monkeypatch.setenv("UNXEN_CONFIG", str(path))
    assert main(["config", "show"]) == 2
    assert "did you mean undo_days?" in capsys.readouterr().err


def test_file_to_start_with_names_every_key_and_sets_none(golden, config) -> None:
    golden(Path("../examples/unxen.toml"), example())
    assert config(example()) == Settings(Path("/state"))
    uncommented = "".join(f"{line[2:]}\n" for line in example().splitlines() if " = " in line)
    assert set(tomllib.loads(uncommented)) == set(KEYS)
