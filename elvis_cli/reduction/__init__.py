"""Raw frames to products: association, masters, calibration, sky, cosmic rays, combination, zero point, keywords."""
