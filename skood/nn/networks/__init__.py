"""Networks of whole models."""
