"""The page in a real browser: Debian's chromium, driven by playwright; no other host is reached."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

import elvis_cli
from elvis_cli.instrument import registry
from tests.browser import browser, opener, serious_faults

__all__ = ["browser"]  # a fixture
PAGE = Path(elvis_cli.__file__).parent / "service" / "page"


HEAVY = pytest.mark.skipif(
    "ELVIS_SERVICE_TESTS" not in os.environ, reason="takes minutes; ELVIS_SERVICE_TESTS=1 runs it"
)


def test_its_files(server):
    page = server.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert b"http" not in page.body.replace(b"https", b"http").replace(b"http-equiv", b"")
    assert server.get("/page/main.js").headers["content-type"].startswith("text/javascript")
    assert server.get("/page/main.js", If_None_Match=server.get("/page/main.js").headers["etag"]).status == 304
    for name in ("nothing.js", "..%2fapp.py", "__init__.py"):
        assert server.get(f"/page/{name}").status == 404


def test_its_program_names_no_instrument():
    words = {word for file in PAGE.glob("*.*s") for word in re.findall(r"[\w-]+", file.read_text().casefold())}
    assert len(words) > 100
    assert words.isdisjoint(registry.names())


@pytest.fixture
def open_page(browser, server):
    """Open the page with a request."""
    with opener(browser, server.url) as open_at:
        yield lambda request=None, **options: open_at("" if request is None else "/#" + encoded(request), **options)


def encoded(request):
    return base64.urlsafe_b64encode(json.dumps(request).encode()).decode()


def wait(page, text):
    page.locator(f'#status:has-text("{text}")').wait_for()


def field(page, pointer):
    return page.locator(f'[data-pointer="{pointer}"]')


def test_a_link_a_change_an_error_and_the_bytes(open_page, elvis, small):
    request = small({"target/brightness/mag": 18})
    page = open_page(request)
    wait(page, "16 x 16 pixels")
    assert field(page, "/target/brightness/mag").input_value() == "18"
    assert page.locator("#picture").evaluate("image => image.naturalWidth") > 100
    assert page.locator("#prediction tr").count() > 10

    field(page, "/target/brightness/mag").fill("bright")
    wait(page, "Not rendered")
    message = page.locator(f"#{field(page, '/target/brightness/mag').get_attribute('aria-describedby')}")
    assert "has the wrong type" in message.inner_text()
    field(page, "/target/brightness/mag").fill("17")
    wait(page, "16 x 16 pixels")
    assert page.locator("span.error").count() == 0

    request["target"]["brightness"]["mag"] = 17
    with page.expect_download() as waiting:
        page.click("#fits")
    with open(waiting.value.path(), "rb") as file:
        assert file.read() == elvis(stdin=json.dumps(request)).out
    assert json.loads(base64.urlsafe_b64decode(page.url.partition("#")[2])) == request
    assert page.locator("#elvis-line").input_value().endswith("| elvis > elvis.fits")

    field(page, "/timesnr/snr").fill("30")
    page.locator("#result.stale").wait_for()
    page.locator("#result:not(.stale)").wait_for()
    assert field(page, "/timesnr/DET.NDIT").input_value() == ""


def tab_to(page, identity):
    """Press Tab until an element has the focus."""
    for _ in range(80):
        if page.evaluate("document.activeElement.id") == identity:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {identity}")


def test_its_other_views_by_keyboard_on_a_narrow_screen(open_page, small):
    page = open_page(small(), viewport={"width": 400, "height": 800}, color_scheme="dark")
    wait(page, "16 x 16 pixels")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    tab_to(page, "tab-form")
    page.keyboard.press("ArrowRight")
    page.fill("#find", "seed random")
    page.focus('#keys [data-pointer="/elvis/seed"]')
    page.keyboard.type("7")
    page.focus("#tab-keys")
    page.keyboard.press("ArrowRight")
    text = json.loads(page.locator("#json").input_value())
    assert text["elvis"]["seed"] == 7
    text["sky"]["airmass"] = 2
    page.fill("#json", json.dumps(text))
    page.focus("#tab-json")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator('#panel-form [data-pointer="/sky/airmass"]').input_value() == "2"
    page.locator("#result:not(.stale)").wait_for()
    tab_to(page, "fits")
    with page.expect_download():
        page.keyboard.press("Enter")
    page.click("#tab-history")
    page.locator("#history button").last.click()
    wait(page, "16 x 16 pixels")
    assert held(page) == small()


def test_a_night_shows_its_exposures(open_page, small):
    page = open_page(small())
    wait(page, "16 x 16 pixels")
    block = {
        "obId": 7, "name": "M 1", "target": {"name": "M 1", "ra": "05:34:31.900", "dec": "+22:00:52.00"},
        "templates": [{"templateName": "MICADO_img_obs_GenericOffset", "parameters": {"INS.FILT2.NAME": "H"}}],
        "elvis": {"elvis": {"window": {"x0": 0, "y0": 0, "nx": 24, "ny": 16}, "chips": [5]}},
    }  # fmt: skip
    page.click("#tab-night")
    page.fill("#blocks", json.dumps(block))
    page.fill("#night-start", "2026-11-20T05:00:00")
    page.click("#plan")
    page.click('button[aria-label="Show exposure 1"]')
    wait(page, "24 x 16 pixels")
    page.fill("#blocks", "{}")
    page.click("#plan")
    page.locator("#night-error:not(:empty)").wait_for()


def test_axe_finds_nothing_serious(open_page, small):
    for scheme in ("light", "dark"):
        page = open_page(small(), color_scheme=scheme)
        wait(page, "16 x 16 pixels")
        for tab in ("form", "keys", "json", "night", "history")[: 5 if scheme == "light" else 1]:
            page.click(f"#tab-{tab}")
            assert serious_faults(page) == [], tab


def held(page):
    """Return the request in the address of the page."""
    return json.loads(base64.urlsafe_b64decode(page.url.partition("#")[2]))


def kind(page, name):
    page.locator("label", has_text="Kind").locator("select").select_option(name)


def test_scenes_files_and_calibrations(open_page, small, tmp_path):
    page = open_page(small())
    wait(page, "16 x 16 pixels")
    kind(page, "star-grid")
    field(page, "/elvis/scene/n").fill("3")
    page.wait_for_url(lambda _: held(page)["elvis"].get("scene") == {"name": "star-grid", "n": 3})
    shown(page)

    kind(page, "catalogue")
    table = tmp_path / "stars.csv"
    table.write_text("x,y,magnitude\n0,0,18\n")
    page.set_input_files("#upload-catalogue", table)
    assert "the column magnitude is not one of x, y" in page.locator("#upload-error:not(:empty)").inner_text()
    table.write_text("# my stars\nx,y,mag,name\n0,0,18,a\n0.01,0.01,19,b\n")
    page.set_input_files("#upload-catalogue", table)
    page.locator("text=2 sources").wait_for()
    shown(page)
    assert held(page)["elvis"]["catalogue"] == {"x": [0, 0.01], "y": [0, 0.01], "mag": [18, 19], "name": ["a", "b"]}

    kind(page, "image")
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    fits.PrimaryHDU(pixels, fits.Header({"CDELT2": 2e-6})).writeto(tmp_path / "image.fits")
    Image.fromarray(pixels[::-1].astype(np.uint8) * 20).convert("RGB").save(tmp_path / "image.png")
    for name, scale, factor in (("image.fits", 0.0072, 1), ("image.png", 0.01, 20)):
        page.set_input_files("#upload-image", tmp_path / name)
        page.wait_for_url(
            lambda _, scale=scale: held(page)["elvis"].get("image", {}).get("scale") == pytest.approx(scale)
        )
        image = held(page)["elvis"]["image"]
        assert image["shape"] == [3, 4]
        data = np.frombuffer(zlib.decompress(base64.b64decode(image["data"])), "<f4")
        np.testing.assert_array_equal(data, pixels.ravel() * factor)
        shown(page)

    kind(page, "point")
    field(page, "/elvis/calibration").select_option('"flat"')
    page.wait_for_url(lambda _: held(page)["elvis"] == small()["elvis"] | {"calibration": "flat"})
    shown(page)


def shown(page):
    """Wait for the picture of the request as it is."""
    page.locator("#result:not(.stale)").wait_for()
    assert page.locator("#problem").inner_text() == ""


def test_typing_gives_up_the_request_before(open_page, small):
    page = open_page(small({"elvis/window": {"x0": 0, "y0": 0, "nx": 990, "ny": 990}}))
    wait(page, "990 x 990 pixels")
    failed, asked = [], []
    page.on("requestfailed", lambda request: failed.append(request.post_data))
    page.on("request", lambda request: asked.append(request.post_data))
    for magnitude in ("18", "17", "16"):
        with page.expect_request("**/preview*"):
            field(page, "/target/brightness/mag").fill(magnitude)
    page.locator("#result:not(.stale)").wait_for()
    assert held(page)["target"]["brightness"]["mag"] == 16
    assert {json.loads(body)["target"]["brightness"]["mag"] for body in failed} == {18, 17}
    assert len(asked) == 6


def test_a_frame_above_the_limit_is_shown_in_part_and_made_by_a_job(open_page, elvis, small):
    request = small({"elvis/window": {"x0": 0, "y0": 0, "nx": 1010, "ny": 1000}})
    page = open_page(request)
    wait(page, "a part")
    assert page.locator("#whole-text").inner_text().startswith("Show all 1 chips of 1010 x 1000 pixels")
    with page.expect_download() as waiting:
        page.click("#fits")
    with open(waiting.value.path(), "rb") as file:
        assert file.read() == elvis(stdin=json.dumps(request)).out
    page.check("#whole")
    page.locator("#problem:not(:empty)").wait_for()
    assert "only as a job" in page.locator("#problem").inner_text()


def test_every_instrument_has_a_form(open_page, small):
    page = open_page(small())
    wait(page, "16 x 16 pixels")
    page.route("**/validate", lambda route: route.fulfill(status=422, json={"detail": "not now"}))
    for instrument in registry.names():
        page.evaluate("link => { location.hash = link; }", encoded(registry.load(instrument).example()))
        page.locator(f'#instrument:has(option:checked:text-is("{instrument}"))').wait_for(state="attached")
        page.wait_for_function("name => document.getElementById('instrument').value === name", arg=instrument)
        fields = page.locator("#panel-form > fieldset [data-pointer]").count()
        assert 14 <= fields <= 24, (instrument, fields)


@HEAVY
def test_ten_browsers_at_once(open_page, server, small):
    pages = [open_page(small({"elvis/seed": n})) for n in range(10)]
    for magnitude in ("18", "17"):
        for page in pages:
            field(page, "/target/brightness/mag").fill(magnitude)
    for number, page in enumerate(pages):
        page.locator("#result:not(.stale)").wait_for()
        assert held(page)["elvis"]["seed"] == number
        assert held(page)["target"]["brightness"]["mag"] == 17
    assert not re.search(r'status="5\d\d"', server.get("/metrics").body.decode())


@HEAVY
def test_a_reduced_product(open_page, elvis, small):
    request = small({"elvis/window": {"x0": 0, "y0": 0, "nx": 48, "ny": 48}})
    page = open_page(request)
    wait(page, "48 x 48 pixels")
    page.click("#reduce")
    page.locator('#status:has-text("reduced, ")').wait_for(timeout=300_000)
    with page.expect_download(timeout=300_000) as waiting:
        page.click("#fits")
    with open(waiting.value.path(), "rb") as file:
        assert file.read() == elvis("--product", "reduced", stdin=json.dumps(request)).out


@HEAVY
@pytest.mark.parametrize("instrument", registry.names())
def test_the_form_of_every_instrument(open_page, instrument):
    example = registry.load(instrument).example()
    example["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}}
    page = open_page(example)
    wait(page, "64 x 64 pixels")
    shown(page)
    assert page.locator("#prediction tr").count() > 10
