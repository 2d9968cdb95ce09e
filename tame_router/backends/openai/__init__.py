"""OpenAI's chat API as its servers speak it, from sockets to values."""
