"""The gate: a revision and the live one answer the same questions before it may be published."""
