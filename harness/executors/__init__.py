"""Where trials run: this machine's worker processes; a cluster's executors carry the same job text and nothing else."""
