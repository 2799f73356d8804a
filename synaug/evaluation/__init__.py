"""Numbers about trained models: accuracy on test sets, intervals and gains, diagnostics. No tables, no pages."""
