"""Rules that combine statistics of E-steps, and targets to shrink towards."""
