"""The pictures of a report, drawn once for files and for the page."""
