"""The archive: ObsCore rows of files, their store, ADQL, TAP and the other services of the Virtual Observatory.

Nothing here knows HTTP, except by the parameters and the media types that these protocols prescribe;
`elvis_cli.service.archive_app` serves it. Needs the extra ``archive``, `obscore` alone excepted.
"""
