"""A Sphinx extension: names of skood's classes that a text writes as code lead to their pages."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

# HVAE, skood.HVAE, HVAE(random_state=0)
CLASS = re.compile(r"(?:\w+\.)*([A-Z]\w+)(?:\(.*\))?", re.DOTALL)


def link_names(app: Any, document: nodes.document, page: str) -> None:
    """Put a link around each name that is in none and that has a page of its own."""
    objects = app.env.get_domain("py").get_objects()
    homes = {
        name.split(".")[-1]: (home, anchor)
        for name, _, kind, home, anchor, _ in objects
        if kind in {"class", "exception"}
    }
    for literal in list(document.findall(nodes.literal)):
        match = CLASS.fullmatch(literal.astext())
        home, anchor = homes.get(match[1], (page, "")) if match else (page, "")
        if home != page and not isinstance(literal.parent, nodes.reference | nodes.title):
            address = f"{app.builder.get_relative_uri(page, home)}#{anchor}"
            link = nodes.reference("", "", literal.deepcopy(), internal=True, refuri=address)
            literal.replace_self(link)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", link_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
