"""The filter as a service by HTTP: warm processes, limits, errors by RFC 9457, jobs. Needs the extra `service`."""
