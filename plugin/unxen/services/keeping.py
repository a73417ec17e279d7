# SPDX-License-Identifier: Apache-2.0
"""What a watcher did is kept for people who were not there: in the journal for reports, in a file for a monitoring system.

Writes the journal, a line in the log for each round, and where it is configured one file in the textfile format of Prometheus' node
exporter, whole or not at all.
A failure is logged and fails nothing.
"""

import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.settings import Settings
from unxen.workflow.history import remember_outcome

LOG = logging.getLogger(__name__)
WORTH_REMEMBERING = (Verdict.REPAIRED, Verdict.REPAIRABLE, Verdict.REFUSED, Verdict.FAILED)


class Keeper:
    """Of one watcher; called with every outcome and how many seconds it took."""

    def __init__(self, scheme: str, settings: Settings) -> None:
        self._settings = settings
        self._metrics = _Metrics(scheme, settings.metrics_dir) if settings.metrics_dir else None
        self._scheme = scheme
        self._counts: Counter[str] = Counter()
        self._last: dict[tuple[str, ...], tuple[object, ...]] = {}

    def __call__(self, outcome: Outcome, seconds: float) -> None:
        """Keeps one outcome; one that only says again what was said of this guest is counted and not remembered."""
        self._counts[outcome.verdict.value] += 1
        said = (outcome.verdict, outcome.reasons, outcome.changed)
        if outcome.verdict in WORTH_REMEMBERING and self._last.get(outcome.target) != said:
            remember_outcome(outcome, self._settings)
        self._last[outcome.target] = said
        if self._metrics is not None:
            self._metrics.count(outcome, seconds)

    def summary(self) -> None:
        """One line in the log for everything since the last one, as a task of the host would end with."""
        if self._counts:
            told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self._counts.items()))
            LOG.info("%s on %s: %d looked at (%s)", self._scheme, os.uname().nodename, self._counts.total(), told)
        self._counts.clear()


class _Metrics:
    """Counters since the watcher began; a monitoring system knows what a restart does to counters."""

    def __init__(self, scheme: str, directory: Path) -> None:
        self._path = directory / f"unxen-{scheme}.prom"
        self._scheme = scheme
        self._registry: Any = None

    def count(self, outcome: Outcome, seconds: float) -> None:
        try:
            self._count(outcome, seconds)
        except (ImportError, OSError) as error:
            LOG.warning("the metrics in %s could not be written: %s", self._path, error)

    def _count(self, outcome: Outcome, seconds: float) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Summary, write_to_textfile

        if self._registry is None:
            registry = self._registry = CollectorRegistry()
            labels = ("platform", "verdict", "cause")
            self._guests = Counter("unxen_guests", "Guests that were looked at, by what came of it", labels, registry=registry)
            self._changed = Counter("unxen_disks_repaired", "Guests whose disks were repaired", ("platform",), registry=registry)
            self._seconds = Summary("unxen_treatment_seconds", "Seconds for one guest", ("platform",), registry=registry)
            self._when = Gauge(
                "unxen_last_treatment_time_seconds", "When a guest was last looked at", ("platform",), registry=registry
            )
        cause = outcome.reasons[0].kind.value if outcome.reasons else ""
        self._guests.labels(self._scheme, outcome.verdict.value, cause).inc()
        self._changed.labels(self._scheme).inc(outcome.changed)
        self._seconds.labels(self._scheme).observe(seconds)
        self._when.labels(self._scheme).set(time.time())
        # Written beside and renamed by the library: the exporter never reads half a file.
        write_to_textfile(str(self._path), self._registry)
