"""Signatures over revisions, OpenSSF's."""
