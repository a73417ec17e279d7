# SPDX-License-Identifier: Apache-2.0
"""What may be set again, and the scripts that do it: golden, parsed by PowerShell's grammar, and closed to whatever a guest says.

The scripts are the files in tests/cases/network. Their grammar is checked, they are not run: there is no Windows here. For cmd the
check is a small one of our own: blocks and quotes are balanced, called labels exist, every line is one of a few known forms.
"""

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from generators.hives import windows_hive
from generators.network import E1000, Card
from hypothesis import given
from hypothesis import strategies as st
from unit.hive_guest import guest, tables
from unxen.model.guest import Machine
from unxen.model.ids import InstallationId
from unxen.model.network_facts import AddressFacts
from unxen.model.network_settings import CardSettings, FixedAddress, MacFrom, NetworkSettings, OldClaim, Part
from unxen.plan.examined import examine
from unxen.plan.network_settings import GUID, SUFFIX, network_settings
from unxen.report.layout import Context
from unxen.report.network_json import dumps
from unxen.report.script_netsh import netsh_script
from unxen.report.script_parts import NO_MAC
from unxen.report.script_powershell import powershell_script
from unxen.report.text_network import network_text

try:
    import tree_sitter_powershell
    from tree_sitter import Language, Parser
except ImportError:  # an environment that was made before tests/requirements.txt named them: tests/run.sh --setup-only
    POWERSHELL = None
else:
    POWERSHELL = Parser(Language(tree_sitter_powershell.language()))
SCHEMA = json.loads(files("unxen.report").joinpath("network.schema.json").read_text())
CASES = Path("cases") / "network"
OFFICE = Card(
    "Ethernet 2",
    addresses=["192.0.2.10", "192.0.2.11"],
    masks=["255.255.255.0", "255.255.255.0"],
    gateways=["192.0.2.1", "192.0.2.2"],
    dns="192.0.2.53,192.0.2.54",
    suffix="corp.example",
    dns6="2001:db8::53",
    mac="00:16:3e:12:34:56",
)
STORAGE = Card(
    "SAN",
    number=8,
    instance="1",
    guid="{11111111-2222-3333-4444-000000000008}",
    description="XCP-ng PV Network Device #1",
    addresses=["198.51.100.7"],
    masks=["255.255.255.128"],
)
DHCP = Card("Guest", number=9, instance="2", guid="{11111111-2222-3333-4444-000000000009}", dhcp=True, lease="203.0.113.9")
GHOST = Card("Old LAN", guid="{aaaaaaaa-0000-0000-0000-000000000001}", addresses=["192.0.2.10"], gone=True)


def settings(*cards: Card, defined: tuple[str, ...] = (), generation: str = "10") -> NetworkSettings:
    facts = guest(windows_hive(generation, families=["xcpng"], network=cards))
    examined = examine(facts, facts.installations[0], Machine(), tables())
    assert examined is not None
    return network_settings(examined, defined)


WHOLE = settings(OFFICE, STORAGE, DHCP, GHOST)
NOTHING = settings(DHCP)


@pytest.mark.parametrize(("name", "made"), [("several-cards", WHOLE), ("nothing-by-hand", NOTHING)])
def test_scripts_and_text_are_the_files(golden, name: str, made: NetworkSettings) -> None:
    golden(CASES / f"{name}.ps1", powershell_script(made).decode().replace("\r\n", "\n"))
    golden(CASES / f"{name}.cmd", netsh_script(made).decode().replace("\r\n", "\n"))
    golden(CASES / f"{name}.txt", network_text(["windows.qcow2"], [made], Context()))
    golden(CASES / f"{name}.json", dumps(["windows.qcow2"], [made]))


@pytest.mark.parametrize("made", [WHOLE, NOTHING], ids=["several cards", "nothing"])
def test_document_keeps_to_the_schema(made: NetworkSettings) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(dumps(["x"], [made])))


def test_cards_that_ask_dhcp_are_in_no_script() -> None:
    for script in (powershell_script(WHOLE), netsh_script(WHOLE)):
        assert b"Guest" not in script and b"203.0.113.9" not in script


def test_all_cards_are_found_before_anything_is_changed() -> None:
    script = powershell_script(WHOLE).decode()
    assert script.rindex("= Find-Card '") < script.index("Clear-OldClaim '") < script.index("Set-Card $card1")
    lines = netsh_script(WHOLE).decode().split("\r\n")
    found = max(number for number, line in enumerate(lines) if line.startswith("call :find"))
    changed = min(number for number, line in enumerate(lines) if line.startswith(("if not defined KEEP", "netsh")))
    assert found < changed


def test_a_card_without_a_mac_address_ends_both_scripts() -> None:
    assert WHOLE.cards[1].mac == ""
    assert f"$card2 = Find-Card '{NO_MAC}'".encode() in powershell_script(WHOLE)
    assert f"call :find {NO_MAC}\r\nif errorlevel 1 exit /b 1".encode() in netsh_script(WHOLE)
    assert not re.fullmatch("[0-9A-F]{12}", NO_MAC)


@pytest.mark.parametrize(
    ("cards", "defined", "macs"),
    [
        ([STORAGE], ["00:16:3e:00:00:01"], ["00:16:3e:00:00:01"]),
        ([STORAGE], ["00:16:3E:00:00:01"], ["00:16:3e:00:00:01"]),
        ([STORAGE], ["00:16:3e:00:00:01", "00:16:3e:00:00:02"], [""]),
        ([OFFICE, STORAGE], ["00:16:3e:12:34:56", "00:16:3e:00:00:02"], ["00:16:3e:12:34:56", "00:16:3e:00:00:02"]),
        ([STORAGE, DHCP], ["00:16:3e:00:00:01"], ["", ""]),
        ([STORAGE], [], [""]),
    ],
)
def test_a_definition_helps_only_where_one_card_is_left_on_each_side(cards, defined, macs) -> None:
    made = settings(*cards, defined=tuple(defined))
    assert [each.mac for each in made.cards] == macs


def test_what_a_card_could_have_is_told_where_it_is_missing() -> None:
    made = settings(STORAGE, defined=("00:16:3e:00:00:01", "00:16:3e:00:00:02", "$(calc)"))
    assert made.unmatched == ("00:16:3e:00:00:01", "00:16:3e:00:00:02")
    for script in (powershell_script(made), netsh_script(made)):
        assert b"The definition has 00:16:3e:00:00:01, 00:16:3e:00:00:02." in script
    assert "00:16:3e:00:00:02" in network_text(["x"], [made], Context())


def test_a_mac_address_that_no_card_of_the_definition_has_is_told() -> None:
    made = settings(OFFICE, defined=("52:54:00:00:00:01", "52:54:00:00:00:02"))
    assert made.cards[0].defined is False
    assert "no card of the definition has it" in " ".join(network_text(["x"], [made], Context()).split())


def test_the_interface_that_xen_took_over_is_one_card() -> None:
    twin = Card("Ethernet 2", number=3, device=E1000, instance="3&1", service="E1G60", addresses=OFFICE.addresses)
    made = settings(OFFICE, twin)
    assert [(each.name, each.xen) for each in made.cards] == [("Ethernet 2", True)]
    assert [each.guid for each in made.claims] == [OFFICE.guid]


@pytest.mark.parametrize(
    ("card", "part"),
    [
        (Card("x", addresses=["192.0.2.300"]), Part.ADDRESS),
        (Card("x", addresses=["192.0.2.1"], masks=["255.0.255.0"]), Part.ADDRESS),
        (Card("x", addresses=["192.0.2.1"], masks=["0.0.0.0"]), Part.ADDRESS),
        (Card("x", addresses=["0192.0.2.1"]), Part.ADDRESS),
        (Card("x", addresses=["127.0.0.1"]), Part.ADDRESS),
        (Card("x", addresses=["192.0.2.1"], gateways=["'; calc; '"]), Part.GATEWAY),
        (Card("x", addresses=["192.0.2.1"], dns="$(calc)"), Part.DNS),
        (Card("x", addresses=["192.0.2.1"], dns6="fe80::1%calc"), Part.DNS),
        (Card("x", addresses=["192.0.2.1"], suffix="a'b"), Part.SUFFIX),
        (Card("x", addresses=["192.0.2.1"], suffix="a..b"), Part.SUFFIX),
        (Card("x", addresses=["192.0.2.1"], suffix="%PATH%"), Part.SUFFIX),
    ],
)
def test_what_is_no_setting_is_named_and_in_no_script(card: Card, part: Part) -> None:
    made = settings(card)
    assert [each.part for each in made.cards[0].left_out] == [part]
    value = made.cards[0].left_out[0].value.removesuffix(" 255.255.255.0")
    assert value in network_text(["x"], [made], Context())
    for script in (powershell_script(made), netsh_script(made)):
        body = script.decode().partition("Find-Card '" if script.startswith(b"#") else "call :find")[2]
        assert value not in body


def test_addresses_that_stand_beside_dhcp_hold_no_more() -> None:
    (card,) = settings(Card("x", dhcp=True, addresses=["192.0.2.1"], gateways=["192.0.2.254"], dns="192.0.2.53")).cards
    assert (card.addresses, card.gateways, card.dns, card.by_hand) == ((), (), ("192.0.2.53",), True)


def test_a_domain_controller_may_ask_itself_for_names() -> None:
    assert settings(Card("x", addresses=["192.0.2.1"], dns="127.0.0.1")).cards[0].dns == ("127.0.0.1",)


def test_settings_of_a_real_server_become_a_script(corpus) -> None:
    facts = guest(corpus.read("win2003-sp1-x86-vmware-dc/SYSTEM"), lambda _: True)
    examined = examine(facts, facts.installations[0], Machine(), tables())
    assert examined is not None
    made = network_settings(examined, ("00:0c:29:9a:e2:87",))
    assert [(each.name, each.mac_from) for each in made.cards] == [("Local Area Connection", MacFrom.DEFINITION)]
    script = netsh_script(made).decode()
    assert "call :find 00-0C-29-9A-E2-87\r\n" in script
    assert 'netsh interface ip set address "%CARD1%" static 192.168.1.2 255.255.255.0 192.168.1.1 1 ||' in script
    check_cmd(script)


HOSTILE = st.text(alphabet=st.characters(codec="utf-16-le", exclude_characters="\0"), max_size=40) | st.sampled_from(
    [
        "'",
        "\u2019; calc; \u2019",
        "`$(calc)",
        '" & calc & "',
        "%COMSPEC%",
        "!x!",
        "\r\ncalc\r\n",
        "#>",
        ")",
        "^&calc",
        "::",
        "\ufeff",
    ]
)


@given(name=HOSTILE, description=HOSTILE)
def test_names_of_a_guest_cannot_leave_their_remark(name: str, description: str) -> None:
    card = CardSettings(
        name=name,
        description=description,
        xen=True,
        dhcp=False,
        by_hand=True,
        mac="00:16:3e:12:34:56",
        mac_from=MacFrom.WINDOWS,
        defined=None,
        own_mac=name,
        addresses=(FixedAddress("192.0.2.10", "255.255.255.0", 24),),
        gateways=("192.0.2.1",),
        dns=("192.0.2.2",),
        dns6=(),
        suffix="corp.example",
        lease=AddressFacts(),
        left_out=(),
    )
    claim = OldClaim("{11111111-2222-3333-4444-000000000007}", name, ("192.0.2.10",))
    made = NetworkSettings(InstallationId(r"1:1:\Windows"), None, (card,), (claim,))
    script = powershell_script(made)
    check_powershell(script)
    # Beside remarks the script is the same whatever things are called.
    plain = powershell_script(
        NetworkSettings(made.installation, None, (renamed(card),), (OldClaim(claim.guid, "x", claim.addresses),))
    )
    assert without_remarks(script, "#") == without_remarks(plain, "#")
    text = netsh_script(made).decode()
    check_cmd(text)
    assert network_text([name], [made], Context()).replace("\n", "").isprintable()


def renamed(card: CardSettings) -> CardSettings:
    from dataclasses import replace

    return replace(card, name="x", description="y", own_mac="")


def without_remarks(script: bytes, sign: str) -> list[str]:
    return [line for line in script.decode("ascii").split("\r\n") if not line.strip().startswith(sign)]


@given(st.text(max_size=300))
def test_suffixes_and_guids_are_plain_ascii(text: str) -> None:
    for pattern in (SUFFIX, GUID):
        if pattern.fullmatch(text):
            assert re.fullmatch(r"[A-Za-z0-9_.{}-]+", text)


@pytest.mark.parametrize("made", [WHOLE, NOTHING], ids=["several cards", "nothing"])
def test_both_scripts_keep_to_their_grammar(made: NetworkSettings) -> None:
    if POWERSHELL is None:
        pytest.skip("PowerShell's grammar is not installed: tests/run.sh --setup-only")
    check_powershell(powershell_script(made))
    check_cmd(netsh_script(made).decode("ascii"))


def check_powershell(script: bytes) -> None:
    assert script.isascii() and script.endswith(b"\r\n") and b"\n" not in script.replace(b"\r\n", b"")
    assert POWERSHELL is None or not POWERSHELL.parse(script).root_node.has_error


# The forms of lines that the script for cmd is made of.
CMD_LINES = re.compile(
    r"""@echo\ off | rem\ .* | :[a-z]+ | \) | setlocal\ EnableExtensions\ DisableDelayedExpansion
    | set\ "[A-Z0-9]+=[^"%]*(%FOUND%|%%A|%~1)?[^"%]*" | set\ /a\ COUNT(=0|\+=1) | exit\ /b\ [01] | call\ :[a-z]+\ [A-Za-z0-9-]+
    | if\ .*\ exit\ /b\ [01] | if\ .*\ call\ :clear\ \{[0-9A-Fa-f-]+\} | if\ .*\ set\ "KEEP=1" | if\ [^()]*\ \( | echo\ [^&|<>^"]*
    | for\ /f\ .*\ do\ \( | for\ %%V\ in\ \([A-Za-z\ ]+\)\ do\ reg\ delete\ .* | (reg|getmac|netsh)\ .*""",
    re.VERBOSE,
)


def check_cmd(script: str) -> None:
    """Balanced blocks and quotes, labels that exist, and no line of a form that nobody meant."""
    assert script.isascii() and script.endswith("\r\n") and "\n" not in script.replace("\r\n", "")
    depth, labels, called = 0, set(), set()
    for line in filter(None, (each.strip() for each in script.split("\r\n"))):
        assert CMD_LINES.fullmatch(line), line
        if not line.startswith(("rem ", "for /f")):
            assert line.count('"') % 2 == 0, line
        depth += line.endswith("(") - (line == ")")
        assert depth in (0, 1), line
        labels |= {line[1:]} if line.startswith(":") else set()
        called |= set(re.findall(r"call :([a-z]+)", line))
    assert depth == 0 and called <= labels
