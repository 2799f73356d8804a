"""What people read of results: report, study, terminal tables, dataset card. Measures nothing itself."""
