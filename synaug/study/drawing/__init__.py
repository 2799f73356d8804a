"""A study's outcome, drawn: results.md, figures, and a page in one file. `files.write` writes all of it."""
