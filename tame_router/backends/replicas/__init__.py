"""Several servers behind one backend."""
