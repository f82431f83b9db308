"""The pages that users read: their fences, commands, links and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    *DOCS,
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "projects").rglob("*.md")),
]

_FENCE = re.compile(
    r"^ *(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^ *(?P=fence) *$", re.M | re.S
)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PROGRAMS = {"python", "make", "pip", "ray", "git", "cd", "export", "docker", "apt-get"}
_PROGRAMS |= {"tensorboard"}


@dataclass(frozen=True)
class Command:
    """A command of a page: its words, and the place for messages."""

    place: str
    words: tuple[str, ...]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The text without fences."""
    return _FENCE.sub("", page.read_text())


def inline_code(page: Path) -> list[str]:
    return [" ".join(code.split()) for code in _INLINE.findall(prose(page))]


def links(page: Path) -> list[str]:
    """The targets of all links."""
    return _LINK.findall(_INLINE.sub("", prose(page)))


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them, and the labels that MyST takes."""
    text = prose(page)
    titles = re.findall(r"^#+ +(.+)$", text, re.M)
    slugs = {re.sub(r"[^\w\- ]", "", t.strip().lower()).replace(" ", "-") for t in titles}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.M))


def commands(page: Path) -> list[Command]:
    """All commands of a page: in console blocks, in blocks without a language, inline.

    In a console block with prompts (`$ `) the other lines are output; in one without, every line
    has to be a command. What begins with no program's name elsewhere is no command.
    """
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        info = match["info"].strip()
        if info not in ("console", ""):
            continue
        line = text[: match.start()].count("\n") + 1
        place = f"{name_of(page)}, block at line {line}"
        found += [Command(place, words) for words in _in_block(match["text"], info, place)]
    for code in inline_code(page):
        if code.split()[0] in _PROGRAMS and len(code.split()) > 1:
            found.append(Command(f"{name_of(page)}: {code}", tuple(_words(code))))
    return found


def _in_block(text: str, info: str, place: str) -> Iterator[tuple[str, ...]]:
    lines = [x.strip() for x in re.sub(r"\\\n\s*", " ", text).splitlines() if x.strip()]
    prompts = any(x.startswith("$ ") for x in lines)
    for line in lines:
        if prompts and not line.startswith("$ "):
            continue
        words = _words(line.removeprefix("$ "))
        while words and re.match(r"^\w+=", words[0]):  # of the environment
            words = words[1:]
        if words and words[0] in _PROGRAMS:
            yield tuple(words)
        elif words and info == "console":
            raise AssertionError(f"{place}: {line!r} begins with none of {sorted(_PROGRAMS)}")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # no shell's line
        return []
