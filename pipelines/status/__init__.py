"""What `make watch` shows: a run's numbers and lines, pure functions of a Workflow and pods; read_snapshot reads."""
