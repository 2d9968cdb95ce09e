"""Experts that uploads make."""
