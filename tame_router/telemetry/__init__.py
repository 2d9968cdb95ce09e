"""What the operator sees: logs, traces and metrics."""
