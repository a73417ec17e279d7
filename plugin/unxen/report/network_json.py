# SPDX-License-Identifier: Apache-2.0
"""Network settings for programs: one document that says everything the text says.

Touches nothing, never fails. Its shape stands in network.schema.json; every string is escaped, and the document is plain ASCII.
"""

import json
from collections.abc import Sequence
from typing import Any

from unxen.model.codec import encode
from unxen.model.network_settings import NetworkSettings
from unxen.report.json import escaped

SCHEMA = "unxen-network-1"


def dumps(target: Sequence[str], found: Sequence[NetworkSettings]) -> str:
    """The document, ending with a line break."""
    return json.dumps(escaped(document(target, found)), indent=2, ensure_ascii=True) + "\n"


def document(target: Sequence[str], found: Sequence[NetworkSettings]) -> dict[str, Any]:
    """The document of its schema."""
    return {"schema": SCHEMA, "target": list(target), "installations": [encode(each) for each in found]}
