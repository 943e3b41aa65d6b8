"""The service under load and abuse, measured: ``make service``."""
