"""The documentation builds without a warning, and every link of the pages leads somewhere."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import pytest
from pages import PAGES, ROOT, headings, links, name_of
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

EXTERNAL = {
    "https://arxiv.org/abs/1903.10979",
    "https://docs.ray.io",
    "https://github.com/facebookresearch/detectron2",
    "https://github.com/megvii-model/DetNAS/issues/5",
    "https://github.com/megvii-model/DetNAS/issues/7",
}
"""The pages elsewhere that ours point to. They are not fetched: open a new one before adding it."""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, str]:
    """The HTML's folder, and all warnings."""
    folder = tmp_path_factory.mktemp("docs")
    printed = io.StringIO()
    docs = str(ROOT / "docs")
    with patch_docutils(docs), docutils_namespace(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's; Sphinx's own are printed
        places = [docs, docs, str(folder / "html"), str(folder / "doctrees")]
        app = Sphinx(*places, "html", {"nitpicky": True}, status=None, warning=printed)
        app.build(force_all=True)
    return folder / "html", printed.getvalue()


def test_no_warnings(built):
    assert built[1] == ""


def test_pages_need_no_network(built):
    """Nothing that a browser would load comes from elsewhere."""
    for page in built[0].glob("*.html"):
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\bsrc="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]+)"', text)
        assert not loaded, (page.name, loaded)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_in_the_repository(page: Path):
    """As they are followed where the files are read: each file and anchor exists."""
    for link in links(page):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name_of(page)}: {link} leads nowhere"
        if anchor:
            assert anchor in headings(target), f"{name_of(page)}: {link} has no such heading"


def test_links_to_elsewhere():
    found = {link for page in PAGES for link in links(page) if "://" in link}
    assert found <= EXTERNAL, "new links: open them once, then add them to EXTERNAL"
