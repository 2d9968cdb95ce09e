"""Several processes that serve on the same ports, and one that sees to them."""
