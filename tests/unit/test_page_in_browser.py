# SPDX-License-Identifier: Apache-2.0
"""The page of `unxen report` as a browser shows it, light and dark, narrow and wide: nothing sticks out, nothing is fetched.

Chromium without a window, by Debian's chromium-driver and python3-selenium; where it cannot start, the reason is told.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generators import outcomes
from unxen.model.history import PastOutcome
from unxen.model.judgement import Verdict
from unxen.model.reason import ReasonKind, reason
from unxen.report.html import page
from unxen.report.json import dumps

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
DRIVER = Path("/usr/bin/chromedriver")
# Root has no sandbox of its own there, and /dev/shm may be small; the page is our own.
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
HOSTILE = "</td><script>document.title='owned'</script><img src=http://192.0.2.1/x onerror=alert(1)>"
LONG = "W" * 300
NOON = 1_790_000_000.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests here."""
    if not DRIVER.exists():
        pytest.skip("chromium-driver is not installed")
    options = webdriver.ChromeOptions()
    for each in OPTIONS:
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(str(DRIVER))
    try:
        driver = webdriver.Chrome(service=service, options=options)
    except Exception as error:
        pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0]}")
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of every kind of outcome, of a guest whose name is markup, and of one whose name has no place to break."""
    kinds = {
        "repaired": outcomes.repaired(),
        "repairable": outcomes.repairable(),
        "refused": outcomes.refused(reason(ReasonKind.HIBERNATED, outcomes.ID)),
        "no Windows": outcomes.no_windows(),
        "undone": replace(outcomes.healthy("undo"), verdict=Verdict.REPAIRED),
        HOSTILE: outcomes.repaired(),
        LONG: outcomes.repairable(),
    }
    named = [replace(outcome, target=(name,)) for name, outcome in kinds.items()]
    rows = [PastOutcome(number, NOON + number, json.loads(dumps(each))) for number, each in enumerate(named, 1)]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(rows, NOON + 100))
    return path.as_uri()


def shown(browser: Any, url: str, width: int, scheme: str = "light") -> None:
    """The page on a screen of this width, in CSS pixels, for somebody who likes this scheme."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(url)


def colours(browser: Any, selector: str) -> tuple[str, str]:
    """(text, ground) as computed."""
    script = "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.color, s.backgroundColor]"
    return tuple(browser.execute_script(script, selector))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_fetches_nothing_and_has_no_errors(browser: Any, report: str, width: int, scheme: str) -> None:
    shown(browser, report, width, scheme)
    assert browser.execute_script("return innerWidth") == width
    # The page itself, and every box in it whose content it would have to cut off or scroll.
    wider = "return [...document.querySelectorAll('html, body, body *')].filter(e => e.scrollWidth > e.clientWidth + 1"
    wider += " && getComputedStyle(e).display != 'inline').map(e => e.tagName + '.' + e.className)"
    assert browser.execute_script(wider) == []
    messages = [json.loads(row["message"])["message"] for row in browser.get_log("performance")]
    asked = {each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"}
    assert asked == {report}
    assert browser.get_log("browser") == []


def test_both_schemes_apply_to_page_and_cards(browser: Any, report: str) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        shown(browser, report, 1280, scheme)
        seen[scheme] = [colours(browser, each) for each in ("body", "section", ".badge", ".path li")]
    for (text, ground), (other_text, other_ground) in zip(seen["light"], seen["dark"], strict=True):
        assert text != other_text
        assert ground != other_ground or ground == "rgba(0, 0, 0, 0)"


def test_name_of_a_guest_stays_text(browser: Any, report: str) -> None:
    shown(browser, report, 1280)
    assert browser.title.startswith("unxen:")
    assert browser.execute_script("return document.querySelectorAll('script, img, link, iframe').length") == 0
    assert HOSTILE in browser.execute_script("return [...document.querySelectorAll('h2')].map(e => e.textContent)")


def test_link_of_the_overview_leads_to_its_guest(browser: Any, report: str) -> None:
    shown(browser, report, 360)
    goals = "return [...document.querySelectorAll('a')].map(a => !!document.querySelector(a.getAttribute('href')))"
    found = browser.execute_script(goals)
    assert len(found) == 7
    assert all(found)
