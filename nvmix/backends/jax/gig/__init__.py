"""The generalized inverse Gaussian law: moments, solves, series along rows."""
