"""The page in a real browser: Debian's chromium, driven by playwright; no other host is reached."""

from __future__ import annotations

import base64
import json
import os
import shutil

import pytest

from elvis_cli.instrument import registry

BROWSER = shutil.which("chromium")
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


@pytest.fixture(scope="module")
def browser():
    """Return the browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if BROWSER is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, server):
    """Open the page with a request; its attribute ``elsewhere`` has the requests to other hosts."""
    contexts = []

    def run(request=None, **options):
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.elsewhere, page.faults = [], []

        def check(route):
            if route.request.url.startswith((server.url, "blob:", "data:")):
                route.continue_()
            else:
                page.elsewhere.append(route.request.url)
                route.abort()

        page.route("**/*", check)
        page.on("pageerror", lambda fault: page.faults.append(str(fault)))
        page.goto(server.url + ("" if request is None else "/#" + encoded(request)))
        return page

    yield run
    for context in contexts:
        for page in context.pages:
            assert (page.elsewhere, page.faults) == ([], [])
        context.close()


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


def test_its_other_views_by_keyboard_on_a_narrow_screen(open_page, small):
    page = open_page(small(), viewport={"width": 400, "height": 800}, color_scheme="dark")
    wait(page, "16 x 16 pixels")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.focus("#tab-form")
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
    page.click("#tab-history")
    assert page.locator("#history button").count() >= 1


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
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    for scheme in ("light", "dark"):
        page = open_page(small(), color_scheme=scheme)
        wait(page, "16 x 16 pixels")
        found = axe.Axe().run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


@HEAVY
@pytest.mark.parametrize("instrument", registry.names())
def test_the_form_of_every_instrument(open_page, instrument):
    example = registry.load(instrument).example()
    example["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}}
    page = open_page(example)
    wait(page, "64 x 64 pixels")
    fields = page.locator("#panel-form [data-pointer]").count()
    assert 15 <= fields <= 40
