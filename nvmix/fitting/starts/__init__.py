"""What starting models are made from."""
