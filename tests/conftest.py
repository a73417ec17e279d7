# SPDX-License-Identifier: Apache-2.0
"""What all tests share: a state of their own, the program, the corpus of real hives, and golden files.

A missing golden file fails its test; `pytest --regenerate` writes all of them anew, for review as a difference.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the golden files anew")


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory, monkeypatch):
    """Nothing of the machine's own configuration or journal is read or written."""
    home = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("UNXEN_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("UNXEN_CONFIG", str(home / "unxen.toml"))
    return home / "state"


class Corpus:
    """Real hives and volumes, unpacked one by one when a test asks for them and verified by size and hash."""

    def __init__(self, packed: Path, unpacked: Path) -> None:
        self.unpacked = unpacked
        rows = json.loads((packed / "manifest.json").read_text())
        self.rows = {f"{row['set']}/{row['file']}": row for row in _entries(rows)}
        self.packed = packed

    def path(self, name: str) -> Path:
        """The file `SET/FILE`, ready to be read; never write to it."""
        row, target = self.rows[name], self.unpacked / name
        if not (target.is_file() and target.stat().st_size == row["size"]):
            self._unpack(row, target)
        return target

    def read(self, name: str) -> bytes:
        """The bytes of `SET/FILE`."""
        return self.path(name).read_bytes()

    def names(self, beginning: str = "") -> list[str]:
        """All files whose `SET/FILE` begins so."""
        return sorted(name for name in self.rows if name.startswith(beginning))

    def _unpack(self, row: dict, target: Path) -> None:
        stored = self.packed / row["stored"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if stored.suffix == ".zst":
            data = subprocess.run(["zstd", "-q", "-d", "-c", "--long=27", str(stored)], check=True, stdout=subprocess.PIPE).stdout
        else:
            data = stored.read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"], f"{stored} is damaged"
        part = target.with_name(f"{target.name}.{os.getpid()}")
        part.write_bytes(data)
        part.replace(target)


def _entries(manifest: object) -> list[dict]:
    """The rows of the manifest, whichever way it wraps them."""
    rows = manifest.get("files", []) if isinstance(manifest, dict) else manifest
    return [row for row in rows if "stored" in row]


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """The corpus at $UNXEN_CORPUS, by default beside the checkout; without it the test is skipped and says so."""
    packed = Path(os.environ.get("UNXEN_CORPUS", TESTS.parent.parent / "shared" / "corpus"))
    if not (packed / "manifest.json").is_file():
        pytest.skip(f"no corpus of real hives at {packed} (UNXEN_CORPUS)")
    return Corpus(packed, TESTS / ".corpus")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a file below tests/; with --regenerate writes it instead."""

    def check(name: Path, text: str) -> None:
        path = TESTS / name
        if request.config.getoption("--regenerate"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        assert path.is_file(), f"{name} is missing; pytest --regenerate writes it"
        assert text == path.read_text()

    return check


@pytest.fixture
def unxen(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict]]:
    """The program: arguments in, exit code and the one JSON document out, which is as its schema says."""
    from unxen.cli.main import main

    schema = json.loads((resources.files("unxen.report") / "outcome.schema.json").read_text())

    def run(*argv: object) -> tuple[int, dict]:
        code = main([*map(str, argv), "--json"])
        document = json.loads(capsys.readouterr().out)
        jsonschema.validate(document, schema)
        assert document["exit_code"] == code
        return code, document

    return run
