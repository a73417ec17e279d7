# SPDX-License-Identifier: Apache-2.0
"""The remark that administrators find at a domain: `virsh metadata NAME URI` and every dump show it.

Touches nothing. A hint, never proof: anybody may edit it, and nothing of unxen ever reads it.
"""

from lxml import etree


def note_element(text: str) -> str:
    """The element as libvirt wants it: without prefix or namespace, which it adds by itself."""
    element = etree.Element("note")
    element.text = text
    return str(etree.tostring(element, encoding="unicode"))
