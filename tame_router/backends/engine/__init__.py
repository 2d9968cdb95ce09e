"""A vLLM on this machine, as a process."""
