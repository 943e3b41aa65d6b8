"""Pages in a real browser: Debian's chromium, driven by playwright; no other host is reached."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSER = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return the browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if BROWSER is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opener(browser: Any, url: str) -> Iterator[Callable[..., Any]]:
    """Yield a function that opens a page of a server; at the end none may have asked other hosts, or have failed."""
    contexts = []

    def open_at(path: str = "", **options: Any) -> Any:
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.elsewhere, page.faults = [], []

        def check(route: Any) -> None:
            if route.request.url.startswith((url, "blob:", "data:")):
                route.continue_()
            else:
                page.elsewhere.append(route.request.url)
                route.abort()

        page.route("**/*", check)
        page.on("pageerror", lambda fault: page.faults.append(str(fault)))
        page.goto(url + path)
        return page

    yield open_at
    for context in contexts:
        for page in context.pages:
            assert (page.elsewhere, page.faults) == ([], [])
        context.close()


def serious_faults(page: Any) -> list[str]:
    """Return what axe finds that is serious or critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    found = axe.Axe().run(page).response["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]
