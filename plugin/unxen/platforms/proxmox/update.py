# SPDX-License-Identifier: Apache-2.0
"""One request to change a VM's configuration; what must never be asked of Proxmox cannot be said with it.

Touches nothing. `delete` of an unused volume destroys the volume, even where the same request attaches it, and `force` does so with
any disk: neither can be made (ValueError).
"""

from dataclasses import dataclass

from unxen.platforms.proxmox.drives import UNUSED, kind_of

_NEVER_SET = ("delete", "force", "revert", "digest", "skiplock")


@dataclass(frozen=True)
class Update:
    """Keys to be deleted, then keys with their new values; `digest` of the configuration that it was made for."""

    sets: tuple[tuple[str, str], ...]
    deletes: tuple[str, ...]
    digest: str

    def __post_init__(self) -> None:
        for key in self.deletes:
            if kind_of(key) == UNUSED or not key.isalnum():
                raise ValueError(f"delete of {key}")
        for key, _ in self.sets:
            if kind_of(key) == UNUSED or key in _NEVER_SET or key in self.deletes:
                raise ValueError(f"set of {key}")

    @property
    def keys(self) -> tuple[str, ...]:
        """What would have to be reverted if only a part of it was done."""
        return (*self.deletes, *(key for key, _ in self.sets))

    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The request's parameters, as `qm set` and the API take them."""
        deletes = (("delete", ",".join(self.deletes)),) if self.deletes else ()
        return (*deletes, *self.sets, ("digest", self.digest))
