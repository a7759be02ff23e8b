"""Photograph a report in Chromium at desktop and phone width, light and dark, with a pair open.

scripts/photograph.py PAGE FOLDER
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

WIDTHS = {1280: (900, 2600), 390: (844, 2600)}  # width: heights of a window and of the long picture


def open_browser() -> Any:
    """A headless Chromium with its own driver."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    flags = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--force-prefers-reduced-motion"]
    for flag in flags + (["--no-sandbox"] if os.geteuid() == 0 else []):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def look(browser: Any, width: int, height: int, theme: str) -> None:
    """Set the size of the window and the theme that the reader prefers."""
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    time.sleep(0.5)


def save(browser: Any, path: Path) -> None:
    """What the window shows, as WebP."""
    with Image.open(io.BytesIO(browser.get_screenshot_as_png())) as image:
        image.convert("RGB").save(path, quality=88, method=6)


def photograph(page: Path, folder: Path) -> None:
    """Write all pictures of a page."""
    folder.mkdir(parents=True, exist_ok=True)
    browser = open_browser()
    for width, (height, tall) in WIDTHS.items():
        for theme in ("light", "dark"):
            look(browser, width, tall, theme)
            browser.get(page.resolve().as_uri())
            look(browser, width, tall, theme)
            save(browser, folder / f"page-{width}-{theme}.webp")
            look(browser, width, height, theme)
            browser.execute_script("document.getElementById('gallery').scrollIntoView()")
            time.sleep(0.5)
            save(browser, folder / f"gallery-{width}-{theme}.webp")
            browser.find_element(By.CSS_SELECTOR, ".card").send_keys(Keys.ENTER)
            time.sleep(0.5)
            save(browser, folder / f"pair-{width}-{theme}.webp")
    browser.quit()


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
