# SPDX-License-Identifier: Apache-2.0
"""A Proxmox node without Proxmox: `qm`, `pvesm`, `pvesh` and the one Perl call, over a directory that stands for the node.

What it does follows rules.toml beside this package, each rule with its source; where a rule is silent, it refuses.
"""
