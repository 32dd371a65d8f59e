"""The documentation keeps up with the code."""

import ast
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import skood
from skood.core import doc_link
from skood.testing import all_detectors, all_models

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def program(name):
    """A file of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_page_is_the_one_that_build_api_writes():
    assert (DOCS / "api.md").read_text() == program("build_api").page(), (
        "run python docs/build_api.py"
    )


def test_every_name_at_the_top_is_on_the_api_page():
    text = (DOCS / "api.md").read_text()
    assert [name for name in skood.__all__ if f"| `{name}` |" not in text] == []


def test_every_public_class_and_function_has_an_example_that_runs():
    """``pytest --doctest-modules skood`` runs it."""
    public = {
        f"{module}.{name}": getattr(importlib.import_module(module), name)
        for module in program("build_api").MODULES
        for name in importlib.import_module(module).__all__
    }
    examples = {
        name: inspect.getdoc(thing).partition("Examples\n--------\n")[2]
        for name, thing in public.items()
        if callable(thing)
    }
    assert [name for name, example in examples.items() if ">>> " not in example] == []


def test_every_estimator_links_to_a_page_that_the_site_has(monkeypatch):
    monkeypatch.setattr(doc_link, "site_address", lambda: "https://site.test")
    pages = {
        f"https://site.test/generated/{name}.html" for name in program("build_api").page_names()
    }
    assert {kind()._get_doc_link() for kind in [*all_models(), *all_detectors()]} <= pages


@pytest.mark.parametrize(
    "link", ["nowhere.html", "guide/b.html#gone", "#gone", "guide/", "../a.html"]
)
def test_a_dead_link_of_the_site_is_named(link, tmp_path):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "b.html").write_text(
        '<h1 id="here">b</h1><a href="../a.html#there">a</a>'
    )
    alive = '<a href="guide/b.html#here"></a><a href="https://elsewhere.test/"></a><p id="there">'
    (tmp_path / "a.html").write_text(f'{alive}<a href="{link}"></a>')
    assert program("check_links").dead_links(tmp_path) == [f"a.html: {link}"]


def test_a_dead_link_of_the_index_for_language_models_is_named(tmp_path):
    (tmp_path / "a.html").write_text("a")
    (tmp_path / "llms.txt").write_text("- [a](a.html): one\n- [b](b.html): two\n")
    assert program("check_links").dead_links(tmp_path) == ["llms.txt: b.html"]


def test_the_index_for_language_models_lists_every_page_that_was_written():
    listed = set(re.findall(r"\]\(([^)#]+)\.html\)", (DOCS / "llms.txt").read_text()))
    written = {page.relative_to(DOCS).with_suffix("") for page in DOCS.glob("[gtu]*/*.md")}
    written = {page.as_posix() for page in written if page.name != "index"}
    examples = {f"gallery/{path.stem}" for path in (ROOT / "examples").glob("plot_*.py")}
    modules = {f"reference/{module}" for module in program("build_api").MODULES}
    assert written | examples <= listed
    there = {"index", "results", "changelog", "design", "reference/index"}
    assert listed <= written | examples | modules | there


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_relative_links_of_a_page_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_faq_quotes_messages_as_they_are():
    """Those in quotation marks, which are skood's: the words between "..." are in some string."""
    texts = [
        node.value
        for file in Path(skood.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    faq = (DOCS / "guide/faq.md").read_text(encoding="utf-8")
    quoted = re.findall(r'\*\*"(.+?)"\*\*', faq)
    stretches = [part.strip() for message in quoted for part in message.split("...")]
    assert [part for part in stretches if not any(part in text for text in texts)] == []
