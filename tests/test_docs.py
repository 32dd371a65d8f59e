"""The documentation keeps up with the code."""

import importlib.util
import inspect
from pathlib import Path

import skood

DOCS = Path(__file__).parents[1] / "docs"


def build_api():
    spec = importlib.util.spec_from_file_location("build_api", DOCS / "build_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_page_is_the_one_that_build_api_writes():
    assert (DOCS / "api.md").read_text() == build_api().page(), "run python docs/build_api.py"


def test_every_name_at_the_top_is_on_the_api_page():
    text = (DOCS / "api.md").read_text()
    assert [name for name in skood.__all__ if f"| `{name}` |" not in text] == []


def test_every_public_class_and_function_has_an_example_that_runs():
    """``pytest --doctest-modules skood`` runs it."""
    public = {
        f"{module}.{name}": getattr(importlib.import_module(module), name)
        for module in build_api().MODULES
        for name in importlib.import_module(module).__all__
    }
    examples = {
        name: inspect.getdoc(thing).partition("Examples\n--------\n")[2]
        for name, thing in public.items()
        if callable(thing)
    }
    assert [name for name, example in examples.items() if ">>> " not in example] == []
