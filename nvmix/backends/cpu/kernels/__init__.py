"""Every compiled file of the CPU backend, and nothing else."""
