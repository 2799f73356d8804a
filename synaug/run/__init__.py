"""What a run is: plan, table of stages, quotas, what is done and left, forecast. Starts nothing: that is `runner`."""
