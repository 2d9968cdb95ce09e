"""The command `tame`: parsing, and showing what came back."""
