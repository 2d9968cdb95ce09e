"""Generated from protos/tame_router/v1; run `make protos` after a change."""
