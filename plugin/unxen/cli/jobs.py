# SPDX-License-Identifier: Apache-2.0
"""Many guests at a time: one process each, because a program that dies with its parent's thread and locks both want that.

Starts processes of unxen itself. A worker that is killed costs its own guest's outcome (a defect), and those still waiting.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from unxen.cli.call import GuestCall
from unxen.cli.work import Result, defect, failure, work
from unxen.model.progress import nobody


def run_beside(guests: Sequence[GuestCall], jobs: int) -> Iterator[Result]:
    """The results in the order of the guests, each as soon as it and all before it are there."""
    with ProcessPoolExecutor(min(jobs, len(guests)), initializer=_begin) as pool:
        futures = [pool.submit(_work, each) for each in guests]
        try:
            for asked, future in zip(guests, futures, strict=True):
                try:
                    yield future.result()
                except BrokenProcessPool as error:
                    yield Result(failure(asked.call.verb, asked.targets, (defect(error),)))
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def _begin() -> None:
    """Ctrl-C reaches every process of the terminal; a service manager's SIGTERM shall do the same in a worker."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _work(asked: GuestCall) -> Result:
    if not asked.call.log_json:
        return work(asked, nobody)
    from unxen.cli.json_lines import JsonLines

    return work(asked, JsonLines(sys.stderr, asked.targets))
