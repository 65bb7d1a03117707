"""One suite a contract, over every registered method."""
