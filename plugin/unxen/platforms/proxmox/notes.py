# SPDX-License-Identifier: Apache-2.0
"""What unxen did stands where administrators look: in a section of its own in the VM's notes, and as a tag.

Touches nothing. Everything outside the marked section stays as it is; when notes and section together exceed what Proxmox takes,
the section gives way, never somebody's own text.
"""

import re

BEGIN, END = "<!-- unxen: this part is written by unxen -->", "<!-- unxen: end -->"
TAG = "unxen"
LONGEST = 8192
_SECTION = re.compile(re.escape(BEGIN) + r"\n.*?" + re.escape(END), re.DOTALL)
_TAGS = re.compile(r"[;, ]+")
# What a line of notes may hold: printable ASCII without the signs that Markdown and HTML read as more than text.
_PLAIN = re.compile(r"[^ !\"#$%'()+,./0-9:;=?@A-Z^a-z{}~-]")
_MOST_LINES = 10


def with_note(description: str, line: str) -> str | None:
    """The notes with one more line in unxen's section, the oldest lines giving way; None where there is no room at all."""
    lines = [*lines_of(description), f"- {_PLAIN.sub('?', line)}"][-_MOST_LINES:]
    while lines:
        text = _with_section(description, lines)
        if len(text.encode()) <= LONGEST:
            return text
        lines = lines[1:]
    return None


def with_tag(tags: str) -> str | None:
    """The tags with unxen's; None when it is among them."""
    return None if has_tag(tags) else ";".join((*_names(tags), TAG))


def has_tag(tags: str) -> bool:
    """Whether unxen's tag is among them."""
    return TAG in (each.lower() for each in _names(tags))


def lines_of(description: str) -> tuple[str, ...]:
    """The lines of unxen's section, the oldest first."""
    found = _SECTION.search(description)
    return tuple(line for line in found[0].split("\n")[1:-1] if line.startswith("- ")) if found else ()


def _names(tags: str) -> list[str]:
    return [each for each in _TAGS.split(tags) if each]


def _with_section(description: str, lines: list[str]) -> str:
    section = "\n".join((BEGIN, *lines, END))
    if _SECTION.search(description):
        return _SECTION.sub(lambda _: section, description, count=1)
    return f"{description}\n\n{section}" if description else section
