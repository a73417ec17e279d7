# SPDX-License-Identifier: Apache-2.0
"""The links of the boot path, one per file: each looks at a view and a bus and says whether Windows gets past it."""
