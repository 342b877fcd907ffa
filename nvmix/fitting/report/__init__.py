"""What a fit prints on the way."""
