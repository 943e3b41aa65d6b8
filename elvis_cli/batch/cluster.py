"""A Dask cluster in place of the processes of this machine."""

from __future__ import annotations

from concurrent.futures import Future
from typing import cast

from elvis_cli.batch.work import Job, Outcome, Settings, do_remotely
from elvis_cli.errors import ResourceError


class Cluster:
    """A Dask cluster that runs; its workers share the folder with this machine, and have this version of ELVIS."""

    def __init__(self, settings: Settings, address: str, limit: int = 0) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ResourceError("--cluster needs Dask: pip install 'elvis-cli[dask]'") from None
        where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        try:
            self._client = Client(**where, timeout="30s", set_as_default=False)
        except (OSError, ValueError) as error:
            raise ResourceError(f"--cluster: no Dask scheduler at {address}: {error}") from None
        self.limit = limit or max(64, 2 * sum(self._client.nthreads().values()))
        self._settings = settings
        self._executor = self._client.get_executor(pure=False)

    def submit(self, job: Job) -> Future[list[Job | Outcome] | Outcome]:
        """Have a job done by some worker."""
        return cast("Future[list[Job | Outcome] | Outcome]", self._executor.submit(do_remotely, self._settings, job))

    def close(self, *, now: bool) -> None:
        """Let the cluster go; ``now`` what it has not begun is not done."""
        self._executor.shutdown(wait=not now)
        self._client.close()
