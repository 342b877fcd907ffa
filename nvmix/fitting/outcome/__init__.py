"""What the end of a fit means, and the record of it."""
