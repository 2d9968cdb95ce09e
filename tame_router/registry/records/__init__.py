"""What the registry remembers: tables, and all that is read and changed in them."""
