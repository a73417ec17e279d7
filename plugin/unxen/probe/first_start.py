# SPDX-License-Identifier: Apache-2.0
"""What meets people after the switch stands in a few values of each control set; here they are read as they stand.

Touches the hive it is given.
"""

from unxen.model.first_start_facts import LONGEST_ZONE, FirstStartFacts
from unxen.model.ids import Missing
from unxen.probe.reading import Reading, Values
from unxen.registry.hive import Key

SAN, CRASH = r"Services\partmgr\Parameters", r"Control\CrashControl"
ZONE, CLUSTER = r"Control\TimeZoneInformation", r"Services\ClusDisk"
DISABLED = 4


def read_first_start(reading: Reading, control_set: Key) -> FirstStartFacts:
    """The settings of one control set."""
    san, crash = reading.subkey(control_set, SAN), reading.subkey(control_set, CRASH)
    place = reading.subkey(control_set, ZONE)
    zone = reading.values(place)
    return FirstStartFacts(
        san_key=san.path if san else None,
        san_policy=reading.number(reading.values(san).get("SANPOLICY")),
        universal_clock=reading.number(zone.get("REALTIMEISUNIVERSAL")) if place else Missing.NOT_LOOKED_AT,
        time_zone=_zone(reading, zone),
        crash_key=crash.path if crash else None,
        auto_reboot=reading.number(reading.values(crash).get("AUTOREBOOT")),
        cluster=_cluster(reading, control_set),
    )


def _zone(reading: Reading, values: Values) -> str:
    """Its key's name from Vista on, which is the same in every language."""
    name = reading.plain(values.get("TIMEZONEKEYNAME")) or reading.plain(values.get("STANDARDNAME"))
    return name[:LONGEST_ZONE]


def _cluster(reading: Reading, control_set: Key) -> bool:
    key = reading.subkey(control_set, CLUSTER)
    return key is not None and reading.number(reading.values(key).get("START")) != DISABLED
