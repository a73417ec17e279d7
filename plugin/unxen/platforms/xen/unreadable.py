# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a definition, as the readers say it to the module that knows its name.

Touches nothing.
"""


class Unreadable(Exception):
    """A definition that cannot be read: how, on which line (0 when there are none), and advice."""

    def __init__(self, problem: str, line: int = 0, advice: str = "") -> None:
        super().__init__(problem)
        self.problem, self.line, self.advice = problem, line, advice
