"""Migrations of the registry's tables, run by `schema`."""
