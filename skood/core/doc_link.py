"""The link from the HTML representation of an estimator, as in notebooks, to its page."""

from __future__ import annotations

from functools import cache
from importlib import metadata

__all__ = ["DocLinkMixin", "site_address"]


@cache
def site_address() -> str:
    """Where the site of the installed skood is: its project URL "Documentation"; "" if none."""
    try:
        urls = metadata.metadata("skood").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from a checkout
        urls = []
    addresses = dict(url.split(", ", maxsplit=1) for url in urls)
    return addresses.get("Documentation", "").rstrip("/")


class DocLinkMixin:
    """For estimators, to the left of scikit-learn's `BaseEstimator`: attributes that it reads.

    A class links to the page of its name in the public package that it is in. Without a site there
    is no link, and none from classes of others derived from ours.
    """

    _doc_link_module = "skood"

    @property
    def _doc_link_template(self) -> str:
        site = site_address()
        return f"{site}/generated/{{estimator_module}}.{{estimator_name}}.html" if site else ""
