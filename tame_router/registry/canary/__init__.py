"""A canary: a new revision answers a share of the callers until it is trusted, or rolled back."""
