# SPDX-License-Identifier: Apache-2.0
"""What the documentation tells people to type, and which row of documented_commands.toml says where that is tried.

Reads the pages and the table. A block without a language is typed line by line; a sentence names what begins with a known program.
"""

import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent
TOP = TESTS.parent
TABLE = TESTS / "documented_commands.toml"
PAGES = [
    TOP / "README.md",
    TOP / "plugin" / "LIFE_OF_A_REPAIR.md",
    *sorted((TOP / "docs").rglob("*.md")),
    TOP / "hooks" / "README.md",
    TOP / "examples" / "ansible" / "README.md",
]
PROGRAMS = (
    *("unxen", "qm", "pvesm", "pveum", "virsh", "xe", "systemctl", "systemd-analyze", "journalctl", "apt", "make", "install", "cp"),
    *("qemu-img", "qemu-nbd", "qemu-io", "nbdsh", "sqlite3", "guestfish", "ansible-playbook", "powercfg", "shutdown", "manage-bde"),
    *("pip", "python3", "packaging/", "examples/", "tests/", "benchmarks/", ".venv/"),
)
FENCE = re.compile(r"(?ms)^( *)```(\w*)\n(.*?)^ *```$")
# What stands for something that the reader puts in; a line with brackets or dots describes several commands.
SYNOPSIS = re.compile(r"\.\.\.|…|\[-|\[[A-Z]|\||\b[A-Z]{4,}\b|\b(?:FILE|ID|DIR|BUS|B|H|F|N|S)\b")
LANGUAGES_OF_COMMANDS = ("", "sh", "powershell")


@dataclass(frozen=True)
class Shown:
    """One command as a page shows it. `in_block` is false for what is named in a sentence."""

    page: str
    text: str
    in_block: bool

    @property
    def is_synopsis(self) -> bool:
        """Whether it describes commands rather than being one."""
        return not self.in_block and SYNOPSIS.search(self.text) is not None


@dataclass(frozen=True)
class Row:
    """Where commands are tried: typed on a `stage` here, run `by` a script or test that has `text`, or `nowhere`, with the reason.

    `typed` is what is typed instead of a command with placeholders, after the lines of `first`; it must end with `exit`, and say
    `says` if that is given.
    """

    commands: tuple[str, ...]
    stage: str = ""
    typed: str = ""
    first: tuple[str, ...] = ()
    exit: int = 0
    says: str = ""
    by: str = ""
    text: str = ""
    nowhere: str = ""


@cache
def rows() -> tuple[Row, ...]:
    """The table; an unknown key is an error."""
    return tuple(_row(each) for each in tomllib.loads(TABLE.read_text())["row"])


def _row(document: dict) -> Row:
    lists = {
        name: tuple([found] if isinstance(found, str) else found) for name in ("commands", "first") if (found := document.get(name))
    }
    return Row(**{**document, **lists})


def on(stage: str) -> list[tuple[str, Row]]:
    """(what is typed, row) of everything on this stage, each once."""
    return [(typed, row) for row in rows() if row.stage == stage for typed in ((row.typed,) if row.typed else row.commands)]


def typed_on(stage: str) -> list[str]:
    """Names for tests."""
    return [typed for typed, _ in on(stage)]


@cache
def shown() -> tuple[Shown, ...]:
    """Every command of every page, once per page."""
    return tuple(dict.fromkeys(each for page in PAGES for each in _of_page(page)))


def _of_page(page: Path) -> list[Shown]:
    name, text = str(page.relative_to(TOP)), page.read_text()
    found, prose = [], FENCE.sub("", text)
    for _, language, block in FENCE.findall(text):
        if language == "powershell":
            found.append(Shown(name, f"powershell: {block.splitlines()[0]}", True))
        elif language in LANGUAGES_OF_COMMANDS:
            for command, remark in lines_of(block):
                found.append(Shown(name, command, True))
                prose += f"\n{remark}\n"
    inline = (each.replace("\\|", "|") for each in re.findall(r"`([^`\n]+)`", prose))
    return found + [Shown(name, each, False) for each in inline if " " in each and each.startswith(PROGRAMS)]


def lines_of(block: str) -> list[tuple[str, str]]:
    """(command, remark) of each line of a block; a line goes on after a backslash and inside quotation marks."""
    found, begun = [], ""
    for line in block.splitlines():
        begun = f"{begun} {line.strip()}".strip()
        command, remark, is_open = _parted(begun)
        if is_open:
            begun = begun.removesuffix("\\").rstrip()
            continue
        found += [(command, remark)] if command else []
        begun = ""
    return found


def _parted(line: str) -> tuple[str, str, bool]:
    """The command, what is remarked behind it, and whether the command goes on in the next line."""
    quote = ""
    for index, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif re.match(r" {2,}| #| →", line[index:]):
            return line[:index], line[index:], False
    return line, "", bool(quote) or line.endswith("\\")


def without_row() -> list[Shown]:
    """What nobody tries: no row is for it, it is not the beginning of what is tried, and no synopsis of it."""
    known = {command for row in rows() for command in row.commands}
    tried = [f"{row.typed or command} " for row in rows() if not row.nowhere for command in row.commands]
    missing = []
    for each in shown():
        verb = " ".join(each.text.split()[:2])
        begins = not each.in_block and any(command.startswith(f"{each.text} ") for command in tried)
        described = each.is_synopsis and each.text.startswith("unxen ") and any(command.startswith(f"{verb} ") for command in tried)
        if each.text not in known and not begins and not described:
            missing.append(each)
    return missing


def type_it(typed: str, row: Row, directory: Path, path: str = "", **environment: str) -> None:
    """Types the row's lines in a shell, in this directory; the last one has to end and to speak as the row says."""
    env = {**os.environ, "TOP": str(TOP), "EDITOR": "true", "NO_COLOR": "1", **environment, "PATH": f"{path}:{os.environ['PATH']}"}
    for line in (*row.first, typed):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = f"$ {line}\n{done.stdout}{done.stderr}"
        wanted = row.exit if line == typed else None
        assert wanted is None or done.returncode == wanted, f"ended with {done.returncode}, not {wanted}:\n{said}"
    assert row.says in done.stdout + done.stderr, said
