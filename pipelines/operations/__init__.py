"""What takes a person's while: one-pod Workflows, objects through a log, logs, watch. Built on api and status."""
