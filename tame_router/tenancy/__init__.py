"""Who may use what: tenants, their grants and limits, and the keys and names they are known by."""
