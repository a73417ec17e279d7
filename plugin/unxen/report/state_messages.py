# SPDX-License-Identifier: Apache-2.0
"""How a disk was left, in words: what keeps an unclean volume from being accepted, and what its journal still has to do.

Touches nothing.
"""

OBSTACLE_WORDS: dict[str, str] = {
    "state": "It was not accepted: its state could not be read",
    "unknown": "It was not accepted: the hive could not be read",
    "bins": "It was not accepted: what is read where the hive should lie is not a whole hive",
    "bitmap": "It was not accepted: the volume does not count the hive's clusters as used",
    "pending": "It was not accepted: what the journal still has to do touches the hive's place",
    "growth": "It can only be written in place, and the repaired hive needs more room",
    "appliance": "It can only be written in place: another driver would empty the journal",
}
ACCEPT_WORDS: dict[str, str] = {
    "": "Where that cannot be done: --accept-unclean-volume, which goes on if the hive surely lies where it seems to.",
    "growth": "No option helps against it; where the change that needs room comes from --fix, leave that out.",
    "appliance": "Or leave out --delivery appliance.",
}
"""What else helps on an unclean volume, by the obstacle; nothing against those that are not here."""
KEY_WORDS: dict[str, str] = {"none-fits": "None of the keys given opens it"}
KEY_FILE_WORDS: dict[str, str] = {
    "empty": "there is no key in it",
    "many": "there are too many keys in it",
    "large": "it is too large",
    "kind": "it is no plain file",
    "owner": "it belongs to somebody else",
    "mode": "others may read it",
    "encoding": "it is neither UTF-8 nor UTF-16 text",
}
PENDING_WORDS: dict[str, str] = {
    "elsewhere": "what its journal still has to do does not touch the hive's place",
    "here": "what its journal still has to do touches the hive's place",
    "unknown": "what its journal still has to do is not known",
}
CLOCK_WORDS: dict[str, str] = {"utc": "UTC", "localtime": "local time"}
