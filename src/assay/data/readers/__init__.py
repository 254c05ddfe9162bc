"""From files to arrays: one module a file format, and what they share."""
