"""Check that links inside the built site lead somewhere: ``python docs/check_links.py SITE``."""

from __future__ import annotations

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and the names of its places."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        for name, value in attrs:
            if name in {"href", "src"}:
                self.links.append(value or "")
            elif name == "id" or (tag, name) == ("a", "name"):
                self.places.add(value or "")


@cache
def read(path: Path) -> Page:
    """The page in a file; text that is no HTML has the links of Markdown."""
    page, text = Page(), path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        page.feed(text)
    else:
        page.links = re.findall(r"\]\(([^)]+)\)", text)
    return page


def is_dead(link: str, page: Path) -> bool:
    """Whether a link of a page leads to a file or place that is not there; others' sites are."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    target = page.parent / unquote(parts.path) if parts.path else page
    if not target.is_file():
        return True
    place = unquote(parts.fragment)
    return bool(place) and target.suffix == ".html" and place not in read(target.resolve()).places


def dead_links(site: Path) -> list[str]:
    """A line for each dead link of the pages of a site and of its llms.txt."""
    pages = [*site.rglob("*.html"), *site.glob("llms.txt")]
    pages = [page.resolve() for page in pages if "_static" not in page.parts]
    return [
        f"{page.relative_to(site.resolve())}: {link}"
        for page in sorted(pages)
        for link in dict.fromkeys(read(page).links)
        if is_dead(link, page)
    ]


if __name__ == "__main__":
    dead = dead_links(Path(sys.argv[1]))
    print("\n".join(dead) or "No dead link.")
    sys.exit(bool(dead))
