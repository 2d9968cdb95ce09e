"""Who the experts are: the folders under `experts/`, and the snapshot that is served."""
