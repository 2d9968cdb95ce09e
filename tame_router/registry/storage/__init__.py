"""Where adapters' bytes lie: content under its digest, in a folder or a bucket."""
