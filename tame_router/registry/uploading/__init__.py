"""Uploads on their way in."""
