"""Estimators in notebooks link to pages of the site, where there is one."""

from email.message import Message
from importlib import metadata

import pytest

from skood.core.doc_link import site_address
from skood.detectors import CombinedDetector


def given_urls(monkeypatch, *urls):
    installed = Message()
    for url in urls:
        installed["Project-URL"] = url
    monkeypatch.setattr(metadata, "metadata", lambda name: installed)


@pytest.fixture(autouse=True)
def no_cache():
    site_address.cache_clear()
    yield
    site_address.cache_clear()


def test_a_detector_links_to_its_page_on_the_site_of_the_metadata(monkeypatch):
    given_urls(monkeypatch, "Source, https://one.test", "Documentation, https://two.test/site/")
    page = "https://two.test/site/generated/skood.detectors.CombinedDetector.html"
    assert f'href="{page}"' in CombinedDetector()._repr_html_()


def test_without_a_site_there_is_no_link(monkeypatch):
    given_urls(monkeypatch, "Source, https://one.test")
    assert "href" not in CombinedDetector()._repr_html_()


def test_a_checkout_that_is_not_installed_has_no_site(monkeypatch):
    def not_installed(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", not_installed)
    assert site_address() == ""


def test_classes_of_others_do_not_link_to_our_site(monkeypatch):
    given_urls(monkeypatch, "Documentation, https://two.test")

    class Theirs(CombinedDetector):
        __module__ = "theirs"

    assert Theirs()._get_doc_link() == ""
