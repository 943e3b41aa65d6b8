"""Many requests, a FITS file each: read, named, made by processes or a cluster, told in their order."""
