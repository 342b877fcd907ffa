"""Rules that combine statistics of several E-steps; shrinkage and its targets."""
