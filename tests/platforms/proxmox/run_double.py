# SPDX-License-Identifier: Apache-2.0
"""What the executables of the double start: the node's directory, the program's name, and its arguments."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from node_double.programs import main

sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
