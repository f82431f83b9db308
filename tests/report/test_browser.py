"""The page in a real headless browser, opened from disk, at two widths."""

from __future__ import annotations

import os
import shutil

import pytest
from made_search import (
    made_evaluations,
    space_of,
    write_made_detections,
    write_made_ranking,
    write_made_search,
)

from detnas_d2.report import write_report
from detnas_d2.search import rank, write_best

SECTIONS = ("best", "progress", "costs", "top", "ranking", "choices", "detections", "run")
SECTIONS += ("training", "steps")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    """Without one the tests skip, unless DETNAS_BROWSER_REQUIRED is set."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        if os.environ.get("DETNAS_BROWSER_REQUIRED"):
            pytest.fail("DETNAS_BROWSER_REQUIRED is set, but chromium or playwright is missing")
        pytest.skip("chromium or playwright is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A finished search of 20 blocks with a failed candidate and detections."""
    folder = tmp_path_factory.mktemp("browser") / "a search & <more>"
    space = space_of(4, (4, 4, 8, 4))
    evaluations = made_evaluations(space, 60, failing=[5])
    write_made_search(folder, evaluations, space)
    write_best(folder / "best_architecture.json", rank(evaluations)[0])
    write_made_ranking(folder, evaluations)
    write_made_detections(folder, {"file": str(folder / "gone.png")}, classes=["<Zelle> ü"])
    return write_report(folder), rank(evaluations)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page(browser, page_file, width):
    file, ranked = page_file
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri(), wait_until="load")
    assert messages == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    for section in SECTIONS:
        assert page.locator(f"#{section} h3").first.is_visible(), section
    gaps = """[...document.querySelectorAll("#top thead th")].map(th => {
        const range = document.createRange();
        range.selectNodeContents(th);
        return range.getBoundingClientRect();
    }).map((box, i, all) => i ? box.left - all[i - 1].right : 99)"""
    assert min(page.evaluate(gaps)) >= 8  # between the texts of a table's head
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) == 0
    images = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.alt, i.complete])")
    assert len(images) == 8 and all(size > 0 and alt and done for size, alt, done in images)
    assert page.locator("text=gone.png can't be read").is_visible()
    context.close()


def test_what_is_copied(browser, page_file):
    """By the clipboard, and where that is refused, by selection."""
    file, ranked = page_file
    for allowed in (True, False):
        context = browser.new_context(offline=True)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto(file.as_uri())
        if not allowed:
            page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(Error()))")
        buttons = page.locator("#top tbody tr").nth(4).locator("button")
        expected = str(ranked[4].architecture)
        command = "python train_net.py --config-file STEP4_CONFIG model.backbone.architecture="
        for button, text in (
            (0, expected),
            (1, f"{command}{expected} train.output_dir=STEP4_FOLDER_5"),
        ):
            buttons.nth(button).click()
            buttons.nth(button).filter(has_text="Copied").wait_for()
            assert page.evaluate("navigator.clipboard.readText()") == text
        context.close()


def test_without_scripts(browser, page_file):
    """All is there but the buttons."""
    file, ranked = page_file
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#top code").first.inner_text() == str(ranked[0].architecture)
    assert page.locator("button:visible").count() == 0
    page.locator("#run summary").first.click()
    assert page.locator("text=checkpoint_hash").is_visible()
    context.close()
