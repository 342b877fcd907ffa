"""One fit from one start: the EM loop, what it holds fixed, and how far a step goes."""
