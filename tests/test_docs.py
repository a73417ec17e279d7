# SPDX-License-Identifier: Apache-2.0
"""What the documentation tells people to type is understood by the program and tried somewhere, and every link leads somewhere."""

import re
import shlex
from pathlib import Path

import documented
import pytest
from documented import PAGES, TOP
from unxen.cli.arguments import VERBS, parse
from unxen.errors import Refused

# What stands for something that the reader puts in.
PLACEHOLDERS = re.compile(r"[.]{3}|…|\\\||\[|[A-Z]{3,}|\bID\b|\bN\b|\bS\b")


def blocks(text: str) -> list[str]:
    """The lines of every code block that is no other language."""
    found = re.findall(r"(?ms)^```(?:sh)?\n(.*?)^```", text)
    return [line for block in found for line in block.splitlines()]


def commands() -> list[tuple[str, str]]:
    """(page, command) of every line `unxen …` in a block, and of every `unxen …` in the text that is meant as it stands."""
    rows = []
    for page in PAGES:
        text = page.read_text()
        inline = re.findall(r"`(unxen [^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", text))
        lines = [re.split(r"\s{2,}|\s#|\s→|\s>", line)[0] for line in blocks(text) if line.startswith("unxen ")]
        rows += [(str(page.relative_to(TOP)), each.strip()) for each in [*lines, *inline] if not PLACEHOLDERS.search(each)]
    return sorted(set(rows))


@pytest.mark.parametrize(("page", "command"), commands())
def test_command_is_understood(page: str, command: str) -> None:
    words = shlex.split(command)[1:]
    if words[-1] in ("--version", "--help"):
        return
    try:
        parse(words)
    except Refused as error:
        # In a sentence a command may be named by its beginning.
        problem = error.first.detail("problem")
        assert problem.startswith("the following arguments are required"), f"{page}: {command}: {problem}"


def test_documentation_shows_commands_at_all() -> None:
    assert len(commands()) > 40


ADD = """{page} shows a command that nothing tries. Add to tests/documented_commands.toml (its head says what a row is):

[[row]]
commands = [{text!r}]
stage = "disk"  # or "checkout", "libvirt", "node"; or by = "FILE" and text = "..."; or nowhere = "why"
"""


def test_every_documented_command_has_a_row() -> None:
    assert not (missing := documented.without_row()), "\n".join(ADD.format(page=each.page, text=each.text) for each in missing)


def test_every_row_is_for_a_documented_command() -> None:
    known = {each.text for each in documented.shown()}
    gone = [command for row in documented.rows() for command in row.commands if command not in known]
    assert not gone, f"no page shows these any more; take them out of tests/documented_commands.toml: {gone}"


@pytest.mark.parametrize("row", documented.rows(), ids=lambda row: row.commands[0])
def test_row_says_one_thing_that_holds(row: documented.Row) -> None:
    assert [bool(row.stage), bool(row.by), bool(row.nowhere)].count(True) == 1
    assert row.stage in ("", "disk", "checkout", "libvirt", "node")
    assert not row.by or (row.text and row.text in (TOP / row.by).read_text()), f"{row.by} does not say {row.text!r}"


def test_lines_of_a_block_are_read_as_a_shell_would() -> None:
    block = "unxen plan 'a  b'   what it does\nnbdsh -c 'x' \\\n   -c 'y'  # twice\nsqlite3 f \"select a\n  from b\"\n\n"
    read = [command for command, _ in documented.lines_of(block)]
    assert read == ["unxen plan 'a  b'", "nbdsh -c 'x' -c 'y'", 'sqlite3 f "select a from b"']


def test_every_verb_is_in_the_usage() -> None:
    usage = (TOP / "docs" / "usage.md").read_text()
    assert [verb for verb in VERBS if f"`unxen {verb}" not in usage] == []


def links() -> list[tuple[str, str]]:
    rows = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not target.startswith(("http", "#")):
                rows.append((str(page.relative_to(TOP)), target))
    return sorted(set(rows))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("page", "target"), links())
def test_link_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    place = (TOP / page).parent / path
    assert place.exists()
    assert not anchor or anchor in anchors(place)
