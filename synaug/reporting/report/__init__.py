"""The report of a run: data collected from the store, figures, sentences and samples, one HTML page."""
