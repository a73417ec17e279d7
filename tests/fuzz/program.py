# SPDX-License-Identifier: Apache-2.0
"""The whole program on a bent disk: a documented end, no byte changed but by a repair that says so, and the way back exact."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

from unxen.cli.main import main
from unxen.report.exit_codes import MEANINGS

from fuzz import disk


def run(data: bytes) -> None:
    """Inspect, plan, repair, undo."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "disk.raw"
        path.write_bytes(disk.bent(data)(0, len(disk.sound())))
        settings = {"UNXEN_STATE_DIR": f"{directory}/state", "UNXEN_CONFIG": f"{directory}/none"}
        with patch.dict(os.environ, settings):
            _inspect_and_repair(path)


def _inspect_and_repair(path: Path) -> None:
    before = _hash(path)
    for verb in ("inspect", "plan"):
        expected, document = called(verb, path)
        assert not document["changed"]
        assert _hash(path) == before
    code, document = called("repair", path)
    assert (_hash(path) != before) is document["changed"] is (document["verdict"] == "repaired")
    if not document["changed"]:
        return
    assert (expected, code) == (3, 0)
    assert called("inspect", path)[1]["verdict"] == "healthy"
    assert called("undo", path)[0] == 0
    assert _hash(path) == before


def called(*arguments: object) -> tuple[int, dict]:
    """Exit code and document of a call; a defect is none that anybody may meet."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main([*map(str, arguments), "--json"])
    document = json.loads(said.getvalue())
    assert code in MEANINGS
    assert code != 1, document["reasons"]
    assert document["exit_code"] == code
    return code, document


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
