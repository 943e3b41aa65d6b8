"""The archive's page in a real browser."""

from __future__ import annotations

import hashlib

import pytest

from tests.archive.conftest import BLOCK
from tests.browser import browser, opener, serious_faults

__all__ = ["browser"]  # a fixture
HERE = f"{BLOCK['target']['ra']} {BLOCK['target']['dec']}"


@pytest.fixture
def open_page(browser, night):
    with opener(browser, night.url) as open_at:
        yield open_at


def pictures(page):
    """Return the widths of the pictures of the page, each loaded."""
    script = "async image => { image.loading = 'eager'; await image.decode(); return image.naturalWidth; }"
    return [image.evaluate(script) for image in page.locator("img").all()]


def test_a_search_shows_files_previews_and_the_sky_and_a_file_is_downloaded(open_page, night):
    page = open_page("/")
    page.fill('[name="place"]', HERE)
    page.fill('[name="block"]', "4711")
    page.select_option('[name="level"]', "2")
    page.click("text=Search")
    page.locator("text=3 files.").wait_for()
    assert page.input_value('[name="place"]') == HERE
    assert page.locator("tr", has_text="SCIENCE.IMAGE").inner_text().count("MICADO_img_obs_GenericOffset") == 1
    assert pictures(page)[0] == 1000
    assert min(pictures(page)) > 50
    (path,) = (path for path in night.products if path.name.endswith("_image.fits"))
    with page.expect_download() as waiting:
        page.locator("tr", has_text="SCIENCE.IMAGE").locator("a[download]").click()
    with open(waiting.value.path(), "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert waiting.value.suggested_filename == path.name.replace(":", "_")
    page.fill('[name="place"]', "nowhere")
    page.click("text=Search")
    assert "is not RA Dec" in page.locator('[role="alert"]').inner_text()


def test_it_is_readable_on_a_narrow_screen_by_day_and_by_night(open_page):
    page = open_page("/?block=4711&level=2", viewport={"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious_faults(page) == [], scheme
