"""What was answered, to whom, by what: records in a chain that shows when one is touched."""
