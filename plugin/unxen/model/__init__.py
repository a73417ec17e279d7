# SPDX-License-Identifier: Apache-2.0
"""The values that travel through unxen: frozen, typed, and free of any effect."""
