# SPDX-License-Identifier: Apache-2.0
"""The command line: what is typed wrongly, what pipes and terminals get, and that every end has an exit code and a document."""

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from generators import outcomes
from unxen import __version__
from unxen.cli import main as main_module
from unxen.cli import terminal, work
from unxen.cli.arguments import VERBS as ALL_VERBS
from unxen.cli.arguments import parse
from unxen.cli.call import Call, guest_calls
from unxen.cli.json_lines import JsonLines
from unxen.cli.main import main
from unxen.cli.work import Result
from unxen.errors import Refused, refused
from unxen.model.ids import Bus
from unxen.model.progress import Advanced, Remark, Step, StepBegun, StepEnded, nobody
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery
from unxen.platforms.schemes import SCHEMES, Scheme

SCHEMA = json.loads(files("unxen.report").joinpath("outcome.schema.json").read_text())
VERBS = ("inspect", "plan", "repair", "undo")


@pytest.fixture
def outcome_of(monkeypatch):
    """Makes every guest's work end in the given outcome, or in the given error."""

    def put(result) -> None:
        def fake(asked, _listener):
            if isinstance(result, BaseException):
                raise result
            return Result(result(asked) if callable(result) else result)

        monkeypatch.setattr(work, "_work", fake)

    return put


def documents(text: str) -> list[dict]:
    made = [json.loads(line) for line in text.splitlines()] if text.startswith('{"') else [json.loads(text)]
    for each in made:
        jsonschema.Draft202012Validator(SCHEMA).validate(each)
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inspekt", "a.raw"],
        ["inspect"],
        ["inspect", "a.raw", "--bus", "sat"],
        ["inspect", "a.raw", "--bus", "xen"],
        ["inspect", "a.raw", "--nonsense"],
        ["inspect", "a.raw", "--jobs", "0"],
        ["inspect", "a.raw", "--installation", "Windows"],
        ["inspect", "a.raw", "--format", "raw", "--format", "raw"],
        ["inspect", "a.raw", "--format", "qcow3"],
        ["inspect", "--each", "a", "b", "--format", "raw"],
        ["plan", "a.raw", "--as", "reg", "--hive-root", "HKEY_CURRENT_USER"],
        ["plan", "a.raw", "--hive-root", "HKEY_LOCAL_MACHINE\\Te]mp"],
        ["repair", "a.raw", "--delivery", "parcel"],
        ["repair", "a.raw", "--wait", "soon"],
        ["undo", "a.raw", "--bus", "sata"],
        ["undo", "a.raw", "--dry-run"],
        ["recover", "a.raw"],
        ["recover", "--forget", "x"],
        ["repair", "./a.raw", "a.raw"],
    ],
)
def test_wrong_usage_is_2_with_a_remedy_and_a_document(arguments: Sequence[str], capfd) -> None:
    assert main(arguments) == 2
    seen = capfd.readouterr()
    assert "--help" in seen.err
    assert seen.out == ""
    if "--as" not in arguments:
        assert main([*arguments, "--json"]) == 2
        (document,) = documents(capfd.readouterr().out)
        assert document["exit_code"] == 2
        assert document["reasons"][0]["kind"] == "usage"


def test_misspelt_words_get_a_suggestion(capfd) -> None:
    main(["repiar", "a.raw"])
    assert "did you mean repair?" in " ".join(capfd.readouterr().err.split())
    main(["repair", "a.raw", "--bus", "satta"])
    assert "did you mean sata?" in " ".join(capfd.readouterr().err.split())


def test_version_and_help_go_to_standard_output(capfd) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"unxen {__version__}\n"
    for verb in VERBS:
        assert main([verb, "--help"]) == 0
        assert "TARGET" in capfd.readouterr().out


def test_everything_typed_reaches_the_call() -> None:
    line = r"repair a.x b.y --format raw --format VPC --bus scsi --installation 1:2:/Windows --delivery in-place --dry-run --wait 5"
    call = parse(line.split())
    assert call.targets == ("a.x", "b.y")
    assert call.formats == ("raw", "VPC")
    assert call.bus is Bus.VIRTIO_SCSI
    assert call.installation == r"1:2:\Windows"
    assert call.delivery is Delivery.IN_PLACE
    assert call.dry_run
    assert call.wait == 5.0


def test_each_makes_guests_with_their_own_formats() -> None:
    call = Call("inspect", ("a", "b"), ("raw", "vhd"), each=True)
    assert [(each.targets, each.formats) for each in guest_calls(call)] == [(("a",), ("raw",)), (("b",), ("vhd",))]
    assert [each.targets for each in guest_calls(Call("inspect", ("a", "b")))] == [("a", "b")]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("end", "code", "verdict"),
    [
        (refused(ReasonKind.IN_USE, "a.raw"), 14, "refused"),
        (refused(ReasonKind.ROLLED_BACK, "a.raw"), 40, "failed"),
        (RuntimeError("boom"), 1, "failed"),
        (KeyboardInterrupt(), 130, "failed"),
        (MemoryError(), 1, "failed"),
        (RecursionError(), 1, "failed"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, BaseException) else "",
)
def test_every_end_has_its_code_and_its_document(verb, end, code, verdict, outcome_of, capfd) -> None:
    outcome_of(end)
    assert main([verb, "a.raw", "--json"]) == code
    (document,) = documents(capfd.readouterr().out)
    assert (document["verb"], document["exit_code"], document["verdict"]) == (verb, code, verdict)
    assert document["target"] == ["a.raw"]
    assert main([verb, "a.raw"]) == code
    assert "remedy:" in capfd.readouterr().err


def test_defect_names_its_place_and_keeps_its_trace_for_debug(outcome_of, capfd, monkeypatch) -> None:
    outcome_of(ZeroDivisionError("division by zero"))
    assert main(["inspect", "a.raw"]) == 1
    seen = capfd.readouterr().err
    assert "test_cli.py:" in seen
    assert "ZeroDivisionError" in seen
    assert "Traceback" not in seen


def test_debug_shows_the_trace(tmp_path) -> None:
    """In a process of its own, because logging is configured once."""
    config = tmp_path / "unxen.toml"
    config.write_text("nonsense = 1\n")
    done = run(["inspect", "a.raw", "--debug"], UNXEN_CONFIG=str(config))
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_each_writes_one_document_per_line_and_returns_the_largest_code(outcome_of, capfd) -> None:
    outcome_of(lambda asked: outcomes.repairable() if asked.targets == ("a.raw",) else outcomes.healthy())
    assert main(["inspect", "--each", "a.raw", "b.raw", "--json"]) == 3
    assert [each["verdict"] for each in documents(capfd.readouterr().out)] == ["repairable", "healthy"]


def timeless(document: dict) -> dict:
    return {key: value for key, value in document.items() if key not in ("timings", "spent")}


def test_jobs_give_the_same_documents_in_the_same_order(capfd, tmp_path) -> None:
    targets = [str(tmp_path / f"{number}.raw") for number in range(5)]
    code = main(["inspect", "--each", *targets, "--json"])
    alone = [timeless(each) for each in documents(capfd.readouterr().out)]
    assert main(["inspect", "--each", *targets, "--json", "--jobs", "3"]) == code == 10
    assert [timeless(each) for each in documents(capfd.readouterr().out)] == alone
    assert [each["target"] for each in alone] == [[each] for each in targets]


def test_interruption_ends_the_batch(outcome_of, capfd) -> None:
    outcome_of(KeyboardInterrupt())
    assert main(["inspect", "--each", "a.raw", "b.raw", "--json"]) == 130
    assert len(documents(capfd.readouterr().out)) == 1


def test_results_go_to_standard_output_and_nothing_else_does(outcome_of, capfd) -> None:
    outcome_of(outcomes.repairable())
    assert main(["inspect", "a.raw"]) == 3
    seen = capfd.readouterr()
    assert seen.out.startswith("windows.qcow2: would stop with 0x7B")
    assert seen.err == ""


def test_quiet_says_the_verdict_alone(outcome_of, capfd) -> None:
    outcome_of(outcomes.healthy())
    assert main(["inspect", "a.raw", "--quiet"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1


def test_reg_file_goes_out_as_bytes(monkeypatch, capfdbinary) -> None:
    monkeypatch.setattr(work, "_work", lambda asked, _: Result(outcomes.repairable("plan"), (), b"\xff\xfeW\x00"))
    assert main(["plan", "a.raw", "--as", "reg"]) == 3
    assert capfdbinary.readouterr().out == b"\xff\xfeW\x00"


def test_reg_file_and_json_do_not_go_together(capfd) -> None:
    assert main(["plan", "a.raw", "--as", "reg", "--json"]) == 2
    assert "--as reg" in documents(capfd.readouterr().out)[0]["reasons"][0]["what"]


def test_refused_reg_file_writes_nothing_to_standard_output(outcome_of, capfd) -> None:
    outcome_of(refused(ReasonKind.HIVE_DIRTY, "x"))
    assert main(["plan", "a.raw", "--as", "reg"]) == 21
    seen = capfd.readouterr()
    assert seen.out == ""
    assert "dirty" in seen.err


def test_platforms_to_come_are_refused_clearly(capfd, monkeypatch) -> None:
    monkeypatch.setitem(SCHEMES, "proxmox", Scheme(""))
    assert main(["inspect", "proxmox:100"]) == 50
    assert "not available in this version" in " ".join(capfd.readouterr().err.split())


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_steps_are_told_to_a_person_only() -> None:
    assert terminal.listener_for(io.StringIO(), quiet=False, verbose=False) is nobody
    assert terminal.listener_for(Terminal(), quiet=True, verbose=False) is nobody
    assert isinstance(terminal.listener_for(io.StringIO(), quiet=False, verbose=True), terminal.Steps)


def test_step_is_rewritten_with_the_time_it_took(monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    stream = Terminal()
    listener = terminal.listener_for(stream, quiet=False, verbose=False)
    listener(StepBegun(Step.LOOK))
    listener(StepEnded(Step.LOOK, 0.123))
    listener(Remark("appliance-tcg"))
    begun, _, rest = stream.getvalue().partition("\r")
    assert begun == "  look into the disks ..."
    assert rest.startswith("✓ look into the disks ")
    assert "0.12 s\n" in rest
    assert "once more without it" in rest


def test_listener_survives_a_closed_terminal() -> None:
    stream = Terminal()
    listener = terminal.listener_for(stream, quiet=False, verbose=False)
    stream.close()
    listener(StepBegun(Step.LOOK))


@pytest.mark.parametrize(
    ("environment", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)]
)
def test_colours_only_where_they_are_wanted(environment, colour, monkeypatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert terminal.style_for(Terminal()).colour is colour
    assert terminal.style_for(io.StringIO()).colour is False


@pytest.mark.parametrize(("locale", "marks"), [("C", False), ("POSIX", False), ("de_DE.UTF-8", True), ("C.UTF-8", True)])
def test_marks_only_where_the_terminal_shows_them(locale, marks, monkeypatch) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    assert terminal.style_for(Terminal()).unicode is marks


def test_locale_that_python_made_up_counts_for_nothing() -> None:
    code = "import sys, io; from unxen.cli.terminal import style_for; print(style_for(sys.stdout).unicode)"
    bare = {"PATH": os.environ["PATH"]}
    for environment, marks in (({}, "False"), ({"LC_ALL": "C"}, "False"), ({"LANG": "C.UTF-8"}, "True")):
        done = subprocess.run([sys.executable, "-c", code], env={**bare, **environment}, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == marks


def run(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from unxen.cli.main import entry; entry()", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False)


def test_reader_that_went_away_is_no_defect(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'from unxen.cli.main import entry; entry()' exit-codes | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() in ("0", "141")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_look_starts_without_the_heavy_libraries() -> None:
    """What `inspect` imports before it does anything decides what a hook at every start of a machine costs."""
    code = (
        "import sys; import unxen.cli.main, unxen.cli.inspect, unxen.knowledge.loader; "
        "print(*sorted({'rich', 'click', 'guestfs', 'hivex', 'sqlite3', 'asyncio', 'multiprocessing', 'nbd'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


def test_main_never_exits_the_process() -> None:
    for arguments in ([], ["--help"], ["--version"], ["inspect", "--help"], ["nonsense"]):
        assert isinstance(main_module.main(arguments), int)


def test_parse_raises_nothing_but_refusals() -> None:
    with pytest.raises(Refused):
        parse(["inspect", "--bus"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["hook"],
        ["hook", "vmware"],
        ["hook", "proxmox", "100", "pre-start"],
        ["hook", "libvirt"],
        ["hook", "libvirt", "a", "started"],
    ],
)
def test_hook_that_cannot_be_answered_stops_no_guest(arguments, monkeypatch, capfd) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"nonsense")))
    assert main(arguments) == 0


def test_steps_as_json_are_a_line_each_and_harmless() -> None:
    stream = io.StringIO()
    tell = JsonLines(stream, ("a\x1b[2J.qcow2",))
    for event in (
        StepBegun(Step.LOCK),
        StepEnded(Step.LOCK, 0.25),
        Advanced(Step.COPY, 1, 4),
        Remark("appliance-tcg", (("cause", "\x1b]0;x"),)),
    ):
        tell(event)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(row["event"], row.get("step")) for row in rows] == [
        ("begun", "lock"),
        ("ended", "lock"),
        ("advanced", "copy"),
        ("remark", None),
    ]
    assert rows[1]["seconds"] == 0.25
    assert rows[0]["target"] == ["a\\x1b[2J.qcow2"]
    assert "\x1b" not in "".join(json.dumps(row, ensure_ascii=False) for row in rows)
    stream.close()
    tell(StepBegun(Step.LOCK))


@pytest.mark.parametrize("verb", sorted(set(ALL_VERBS) - {"watch", "hook"}))
def test_every_verb_that_ends_by_itself_has_a_document(verb: str) -> None:
    """A watcher's outcomes are in the journal, and a hook speaks to its platform."""
    parser = argparse.ArgumentParser()
    for add in ALL_VERBS[verb][1]:
        add(parser)
    assert "--json" in {option for action in parser._actions for option in action.option_strings}
