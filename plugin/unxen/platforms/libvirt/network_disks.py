# SPDX-License-Identifier: Apache-2.0
"""A disk of type `network` is an image on a server; what libvirt would tell QEMU of it is told here in the words of the model.

Touches nothing. What unxen cannot do as libvirt would (keys, encryption on the way, other protocols) is Refused(REMOTE_UNSUPPORTED)
and names what it is: an image that is reached in another way than its guest reaches it may be another image.
"""

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.model.remote import PORTS, Protocol, Remote
from unxen.platforms.libvirt.domain_xml import Element, target_of

# Elements below <source> that change nothing of what the image is.
HARMLESS = frozenset({"host", "slices", "address", "timeout", "readahead", "reconnect", "seclabel", "config", "initiator"})
# Elements that do, by what people call them.
CREDENTIALS = {"auth": "a secret of libvirt's", "cookies": "cookies"}


def remote_of(disk: Element) -> Remote:
    """The image that libvirt would have QEMU open."""
    source = disk.find("source")
    assert source is not None
    name = target_of(disk)
    protocol = next((each for each in Protocol if each.value == source.get("protocol")), None)
    if protocol is None:
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="the protocol", value=source.get("protocol", ""))
    _refuse_what_is_not_done(disk, source, name)
    if protocol is Protocol.RBD:
        return _rbd(source, name)
    return _one_server(source, protocol, name)


def _refuse_what_is_not_done(disk: Element, source: Element, name: str) -> None:
    if disk.find("auth") is not None:
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature=CREDENTIALS["auth"])
    if source.get("tls") == "yes":
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="encryption on the way (tls)")
    for each in source:
        if str(each.tag) not in HARMLESS:
            feature = CREDENTIALS.get(str(each.tag), f"<{each.tag}>")
            raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature=feature)


def _rbd(source: Element, name: str) -> Remote:
    """Pool and image, and the monitors that are named; the configuration file names them else."""
    hosts = [each for each in source.findall("host") if each.get("name")]
    monitors = tuple((each.get("name", ""), _port(each, 0, name)) for each in hosts)
    image = source.get("name", "")
    if "/" not in image:
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="an image without a pool", value=image)
    config = source.find("config")
    return Remote(Protocol.RBD, image, monitors=monitors, conf=config.get("file", "") if config is not None else "")


def _one_server(source: Element, protocol: Protocol, name: str) -> Remote:
    hosts = source.findall("host")
    if len(hosts) > 1:
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="several servers")
    host = hosts[0] if hosts else source.makeelement("host")
    path = _name(source, protocol, name)
    if host.get("transport", "tcp") == "unix":
        if protocol is not Protocol.NBD or not host.get("socket", "").startswith("/"):
            raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="the socket", value=host.get("socket", ""))
        return Remote(protocol, path, socket=host.get("socket", ""))
    if host.get("transport", "tcp") != "tcp" or not host.get("name"):
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="the transport", value=host.get("transport", ""))
    initiator = source.find("initiator/iqn")
    known_as = initiator.get("name", "") if initiator is not None else ""
    return Remote(protocol, path, host=host.get("name", ""), port=_port(host, PORTS[protocol], name), initiator=known_as)


def _name(source: Element, protocol: Protocol, name: str) -> str:
    """As the model has it; iSCSI counts units from 0 and libvirt takes the first where none is named."""
    path = source.get("name", "")
    if protocol is Protocol.NBD:
        return str(path)
    query = source.get("query", "")
    if protocol is not Protocol.ISCSI:
        return str(path.removeprefix("/") + (f"?{query}" if query else ""))
    target, slash, unit = path.partition("/")
    if slash and not unit.isdecimal():
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="the unit", value=unit)
    return f"{target}/{int(unit) if slash else 0}"


def _port(host: Element, otherwise: int, name: str) -> int:
    text = host.get("port", "")
    if not text:
        return otherwise
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, name, feature="the port", value=text)
    return int(text)
