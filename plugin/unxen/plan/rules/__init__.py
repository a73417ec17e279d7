# SPDX-License-Identifier: Apache-2.0
"""The rules of a repair, one per file: each a pure function from a view and a bus to edits, its docstring naming its sources."""
