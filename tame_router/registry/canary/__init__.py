"""A canary: a new revision answers a share of the conversations until it is good, or worse."""
