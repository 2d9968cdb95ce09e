"""Providers that are no vLLM, by way of LiteLLM."""
