"""What a release says of itself is one thing in all places."""

from pathlib import Path

import pytest
import yaml

import skood

ROOT = Path(__file__).parents[1]


@pytest.fixture
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_file_has_what_the_format_requires(citation):
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()


def test_the_citation_file_and_the_changelog_are_of_this_version(citation):
    assert citation["version"] == skood.__version__
    heading = f"## [{skood.__version__}] - {citation['date-released']}"
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()


def test_the_papers_of_the_citation_file_are_those_of_the_site(citation):
    page = (ROOT / "docs/understand/papers.md").read_text(encoding="utf-8")
    for paper in citation["references"]:
        authors = ", ".join(author["family-names"] for author in paper["authors"])
        assert f"{authors}: *{paper['title']}*" in page
        assert str(paper["year"]) in page
        assert paper.get("url", "") in page
