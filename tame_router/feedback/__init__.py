"""Feedback: what people say about the choice of an expert, and the lines made of it."""
