"""Parts that networks of both tasks share."""
