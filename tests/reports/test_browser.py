"""The page in a real browser: Debian's Chromium, driven by its own driver."""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_folders import IMAGE, SCRIPT, write_runs

from reports.report import Report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing (pip install selenium)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium with its driver (apt-get install chromium chromium-driver)"
)
PAIRS = 334  # of each of three methods and two seeds: a little more than 2,000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    runs = write_runs(folder, PAIRS)
    return Report().build([runs], folder / "report", show_training_images=True)[0]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    flags = ["--headless=new", "--disable-gpu", "--window-size=1280,900"]
    # Chromium refuses its own sandbox to root
    for flag in flags + (["--no-sandbox"] if os.geteuid() == 0 else []):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield made
    made.quit()


@pytest.fixture
def browser(driver: Any, page: Path) -> Any:
    driver.get(page.as_uri())
    driver.execute_script("gallery.scrollIntoView({behavior: 'instant'})")
    wait_for(lambda: driver.find_elements("css selector", ".card"))
    return driver


def count(browser: Any) -> int:
    text = browser.find_element("id", "count").text
    return int(text.split(" of ")[0].replace(",", ""))


def requests(browser: Any) -> set[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {url.partition(":")[0] for url in urls}


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def wait_for(seen: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_it_opens_without_an_error_a_request_or_a_wait(browser: Any) -> None:
    paint = browser.execute_script(
        "return performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)"
    )
    assert browser.get_log("browser") == []
    assert requests(browser) <= {"file", "blob", "data"}
    assert count(browser) == 6 * PAIRS
    assert paint
    assert paint[0] < 2000  # milliseconds: the bound the page is built for, ten times what it takes
    assert len(browser.find_elements("css selector", ".card")) < 100  # of 2,004: rows are drawn when seen


def test_filters_change_the_number_of_pairs(browser: Any) -> None:
    browser.find_element("css selector", "#filters fieldset label").click()
    wait_for(lambda: count(browser) == 4 * PAIRS)
    browser.execute_script("least.value = 0.7; least.dispatchEvent(new Event('input', {bubbles: true}))")
    wait_for(lambda: 0 < count(browser) < 4 * PAIRS)
    first = browser.find_elements("css selector", ".card b")
    assert all(float(mark.text) >= 0.7 for mark in first)
    assert [float(m.text) for m in first] == sorted((float(m.text) for m in first), reverse=True)
    browser.find_element("css selector", "#filters [type=reset]").click()
    wait_for(lambda: count(browser) == 6 * PAIRS)
    browser.find_element("css selector", "#label option:nth-child(2)").click()
    wait_for(lambda: 0 < count(browser) < 6 * PAIRS)


def test_hostile_captions_are_text(browser: Any) -> None:
    for text in (SCRIPT, IMAGE):
        words = browser.find_element("id", "words")
        words.clear()
        words.send_keys(text)
        wait_for(lambda: count(browser) == 6)
        assert browser.find_element("css selector", ".card .prompt").text == text
    assert browser.execute_script("return window.bad") is None
    assert browser.find_elements("css selector", "#pairs img, #pairs script") == []
    assert browser.get_log("browser") == []


def test_a_pair_opens_steps_and_closes_by_keyboard(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    press(browser, "/")
    wait_for(lambda: browser.switch_to.active_element.get_attribute("id") == "words")
    browser.execute_script("document.querySelector('.card').focus()")
    press(browser, Keys.ARROW_RIGHT, Keys.ENTER)
    wait_for(lambda: browser.find_element("id", "pair").is_displayed())
    assert browser.find_element("id", "place").text == "2 of 2,004"
    assert (
        len(browser.find_elements("css selector", "#paired > div")) == 3
    )  # none, dual, loyal: one prompt, one noise
    press(browser, Keys.ARROW_RIGHT, "d")
    assert browser.find_element("id", "place").text == "3 of 2,004"
    assert browser.find_element("id", "toggle-difference").get_attribute("aria-pressed") == "false"
    press(browser, Keys.ESCAPE)
    wait_for(lambda: not browser.find_element("id", "pair").is_displayed())
    wait_for(lambda: browser.switch_to.active_element.get_attribute("data-index") == "2")


def test_a_long_gallery_stops_until_more_is_asked_for(browser: Any) -> None:
    def below() -> float:
        return float(browser.execute_script("return metrics.getBoundingClientRect().top - pairs.offsetTop"))

    button = browser.find_element("id", "all")
    assert button.text == "Show all 2,004 pairs"
    short = below()
    browser.execute_script("arguments[0].click()", button)
    assert below() > 10 * short
    assert not button.is_displayed()
    wait_for(lambda: browser.switch_to.active_element.get_attribute("data-index") == "48")
    browser.execute_script("least.value = 0.8; least.dispatchEvent(new Event('input', {bubbles: true}))")
    wait_for(lambda: 0 < count(browser) < 100)
    assert below() <= short


def test_a_jump_to_the_end_draws_the_end(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.execute_script("document.querySelector('.card').focus()")
    press(browser, Keys.END)
    wait_for(lambda: browser.switch_to.active_element.get_attribute("data-index") == str(6 * PAIRS - 1))
    assert len(browser.find_elements("css selector", ".card")) < 100


def test_a_header_sorts_and_explains(browser: Any) -> None:
    button = browser.find_element("css selector", "td[data-key=kd_heldout]")
    assert button
    header = browser.find_elements("css selector", "table.board .sort")
    wanted = next(h for h in header if h.text.startswith("less copying than none"))
    browser.execute_script("scrollTo({top: 0, behavior: 'instant'})")
    wanted.click()
    values = browser.find_elements("css selector", "td[data-key=reduction][data-value]")
    *numbers, printed = (float(cell.get_attribute("data-value")) for cell in values)
    assert len(numbers) > 1
    assert numbers == sorted(numbers, reverse=True)
    assert printed == 0.4863  # it stays below what was measured
    browser.find_element("css selector", "table.board .info").click()
    assert "the same as sim_95pc" in browser.find_element("css selector", "[popover]:popover-open").text


def test_closer_to_zero_is_first_where_that_is_better(browser: Any) -> None:
    cells = browser.find_elements("css selector", "td[data-key=sim_gt_05pc][data-value]")
    for cell, value in zip(cells, ("-0.1", "0.3", "0.05"), strict=True):
        browser.execute_script("arguments[0].dataset.value = arguments[1]", cell, value)
    header = browser.find_element("css selector", "table.board .sort[data-better=zero]")
    browser.execute_script("arguments[0].click()", header)
    cells = browser.find_elements("css selector", "td[data-key=sim_gt_05pc][data-value]")
    assert [cell.get_attribute("data-value") for cell in cells] == ["0.05", "-0.1", "0.3"]


def test_tab_walks_to_a_card_and_the_theme_follows_a_click(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.execute_script("document.getElementById('words').focus()")
    walked = []
    while "card" not in walked and len(walked) < 30:
        press(browser, Keys.TAB)
        walked.append(browser.switch_to.active_element.get_attribute("class") or "")
    assert walked[-1] == "card"
    theme = browser.find_element("id", "theme")
    before = browser.find_element("css selector", "html").get_attribute("data-theme")
    colour = browser.find_element("css selector", "body").value_of_css_property("background-color")
    browser.execute_script("scrollTo({top: 0, behavior: 'instant'})")
    theme.click()
    after = browser.find_element("css selector", "html").get_attribute("data-theme")
    assert {before, after} == {"light", "dark"}
    assert theme.get_attribute("aria-pressed") == str(after == "dark").lower()
    assert browser.find_element("css selector", "body").value_of_css_property("background-color") != colour
    theme.click()


def test_nothing_is_wider_than_a_phone(browser: Any) -> None:
    for width in (390, 1280):
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        shown = browser.find_elements("css selector", "figure .narrow")[0].is_displayed()
        assert shown == (width < 600)


def test_a_page_without_private_images_opens_and_says_what_it_left_out(driver: Any, tmp_path: Path) -> None:
    page = Report().build([write_runs(tmp_path, 12)], tmp_path / "report")[0]
    driver.get_log("browser")
    driver.get(page.as_uri())
    driver.execute_script("gallery.scrollIntoView({behavior: 'instant'})")
    wait_for(lambda: driver.find_elements("css selector", ".card"))
    assert (
        "training images of folder are left out" in driver.find_element("css selector", ".banner.safe").text
    )
    assert driver.find_element("css selector", ".card .absent").text == "left out"
    assert driver.find_element("css selector", ".card .prompt").text == "caption left out"
    assert not driver.find_element("id", "words").is_enabled()
    assert count(driver) == 6 * 12
    assert driver.get_log("browser") == []


def test_what_was_never_scrolled_to_is_printed_with_its_pictures(driver: Any, page: Path) -> None:
    driver.get("about:blank")
    driver.get(page.as_uri())
    assert driver.find_elements("css selector", ".card") == []
    time.sleep(1)
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    assert b"/Subtype /Image" in base64.b64decode(printed["data"])


def test_on_paper_the_board_fits_and_the_first_pairs_are_there(browser: Any) -> None:
    browser.execute_script(
        "addEventListener('beforeprint', () => { window.printed = document.querySelectorAll('.card').length; })"
    )
    browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert browser.execute_script("return window.printed") == 30
    wait_for(lambda: len(browser.find_elements("css selector", ".card")) != 30)

    landscape = {"width": 1030, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", landscape)
    try:
        wide = browser.execute_script(
            "return [...document.querySelectorAll('.board')].map((b) => [b.scrollWidth, innerWidth])"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert wide
    assert all(table <= room for table, room in wide)
