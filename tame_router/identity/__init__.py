"""Who calls: keys, certificates and tokens, and the principal they make."""
