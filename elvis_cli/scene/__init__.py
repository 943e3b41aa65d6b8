"""What shines: spectra, photometry, morphology, catalogues."""
