"""Who answers: from the text of a conversation to a decision over experts."""
