"""Signed receipts of answers, and their proof."""
