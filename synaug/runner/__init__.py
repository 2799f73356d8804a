"""What carries a run out on this machine: executor, worker processes, torchrun, display. What a run is: `run`."""
