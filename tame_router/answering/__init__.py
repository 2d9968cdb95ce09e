"""Ask the selected experts, and make one answer of what they say."""
