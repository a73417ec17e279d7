# SPDX-License-Identifier: Apache-2.0
"""A structure on a guest's disk that breaks its own rules needs one name while it is being read.

Touches nothing. It never leaves the box: whoever reads a partition, volume or file turns it into a fact or a reason.
"""

import struct


class Malformed(Exception):
    """`place` is the structure (`boot sector`, `record 27`), `problem` what is wrong with it."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem


# What pyfsntfs and pytsk3 raise on damaged volumes; MemoryError is left to end the box.
LIBRARY_ERRORS = (OSError, RuntimeError, ValueError, SystemError, OverflowError, KeyError, TypeError)
VOLUME_ERRORS = (Malformed, struct.error, *LIBRARY_ERRORS)
