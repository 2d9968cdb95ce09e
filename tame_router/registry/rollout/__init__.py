"""Labels: moved forward, moved back, followed."""
