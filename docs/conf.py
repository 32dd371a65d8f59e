"""Sphinx: the guides, the gallery made by running examples/, and a page for each public name."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from build_api import MODULES, public_names  # noqa: E402  # beside this file

import skood  # noqa: E402

project = "skood"
author = "the skood developers"
version = release = skood.__version__
extensions = [
    "myst_parser",
    "sphinx_design",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "name_links",
]
exclude_patterns = ["api.md", "recipes", "skeletons", "results", "gallery/**.ipynb", "_build"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# Relative links to files that are no page of the site lead to them in the repository.
myst_url_schemes = ("http", "https", "mailto")
suppress_warnings = ["config.cache"]  # the gallery's configuration holds a function

autosummary_generate = True
templates_path = ["_templates"]
default_role = "obj"  # one backtick in a docstring: a name
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_default_options = {"members": True, "inherited-members": "BaseEstimator"}
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc's sections say them in words
intersphinx_mapping: dict[str, tuple[str, None]] = {}

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "within_subsection_order": "gallery_order.FirstStepsFirst",
    "write_computation_times": False,
    "parallel": 2,
}

html_theme = "pydata_sphinx_theme"
html_title = "skood"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
}
html_static_path = ["_static"]
html_css_files = ["skood.css"]
html_extra_path = ["llms.txt"]
html_sidebars = {"index": [], "results": [], "changelog": []}


def write_reference() -> None:
    """A page for each public module, with a table of its names, and a page for each of these."""
    folder = HERE / "reference"
    folder.mkdir(exist_ok=True)
    for module, names in public_names().items():
        title = MODULES[module]
        lines = [title, "=" * len(title), "", f".. currentmodule:: {module}", ""]
        lines += [f"In ``{module}``.", "", ".. autosummary::", "   :toctree: ../generated"]
        lines += ["   :nosignatures:", "   :template: name.rst", ""]
        (folder / f"{module}.rst").write_text("\n".join([*lines, *(f"   {n}" for n in names), ""]))
    lines = ["Reference", "=========", "", ".. container:: columns", ""]
    lines += ["   .. toctree::", "      :maxdepth: 2", ""]
    lines += [f"      {page}" for page in [*MODULES, "../bases"]]
    (folder / "index.rst").write_text("\n".join([*lines, ""]))


def skip_what_others_document(
    app: object, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Methods of scikit-learn and torch refer to pages that are not here."""
    module = getattr(member, "__module__", None) or ""
    return True if module.startswith(("sklearn", "torch")) else None


def add_cited_references(
    app: object, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Functions cite the list of their module's docstring, which has no page of its own."""
    text = "\n".join(lines)
    cited = set(re.findall(r"\[(\d+)\]_", text)) - set(re.findall(r"\.\. \[(\d+)\]", text))
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    listed = re.split(r"\n(?=\.\. \[)", inspect.getdoc(module) or "")[1:]
    found = [entry.split("\n\n")[0] for entry in listed if entry[4:].split("]")[0] in cited]
    if found:
        before = text.partition("\nExamples\n---")
        references = "\n\n".join(["", "References\n----------", *found, ""])
        lines[:] = (before[0] + references + before[1] + before[2]).split("\n")


def setup(app: object) -> None:
    """Called by Sphinx."""
    write_reference()
    # Before numpydoc, which gives each citation a name of its own.
    app.connect("autodoc-process-docstring", add_cited_references, priority=400)  # type: ignore[attr-defined]
    app.connect("autodoc-skip-member", skip_what_others_document)  # type: ignore[attr-defined]
