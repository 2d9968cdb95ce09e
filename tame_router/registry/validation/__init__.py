"""What an upload must be: its files, its weights, its configuration, its texts."""
