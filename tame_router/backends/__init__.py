"""How an expert is reached."""
