"""What the end of a fit means: `EMResult`, and the limits of the families."""
