"""Teaching: from the lines people write to a trained router."""
