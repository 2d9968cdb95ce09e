"""Long steps that outlive a restart."""
