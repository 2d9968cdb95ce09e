"""What runs inside vLLM: adapters by name and digest, and closed doors for everything else."""
