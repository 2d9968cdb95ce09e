"""The queue in front of a backend: how many answers it writes at once, and who is next."""
