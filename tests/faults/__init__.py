# SPDX-License-Identifier: Apache-2.0
"""Kills and errors that are put into a running unxen from outside, and what must be true afterwards."""
