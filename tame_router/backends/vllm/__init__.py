"""A vLLM server, spoken to directly."""
