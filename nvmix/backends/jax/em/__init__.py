"""E-step, M-step, acceleration and the loop of EM."""
