"""The documentation builds without a warning, and every link of the pages leads somewhere."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
from pages import PAGES, ROOT, headings, links, name_of
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils


def test_no_warnings(tmp_path):
    printed = io.StringIO()
    docs = str(ROOT / "docs")
    with patch_docutils(docs), docutils_namespace(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's; Sphinx's own are printed
        places = [docs, docs, str(tmp_path / "html"), str(tmp_path / "doctrees")]
        app = Sphinx(*places, "html", {"nitpicky": True}, status=None, warning=printed)
        app.build(force_all=True)
    assert printed.getvalue() == ""


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
