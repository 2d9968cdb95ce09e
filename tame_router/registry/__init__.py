"""Adapters: how a revision is brought, checked, kept, evaluated, published and taken back."""
