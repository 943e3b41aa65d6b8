"""What is written: FITS headers, WCS, layout, previews."""
