"""Finding charts of Observing Blocks, in the SQLite file of the blocks."""

from __future__ import annotations

from elvis_cli.service.blocks import Node
from elvis_cli.service.problems import ServiceError
from elvis_cli.service.store import Database

TABLE = """
CREATE TABLE IF NOT EXISTS charts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL)
"""
MAX_CHARTS = 5
"""Finding charts of a block, as p2 has it."""
MAX_CHARTS_OF_OWNER = 200


class Charts:
    """The finding charts of all blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.execute(TABLE)
        database.execute("CREATE INDEX IF NOT EXISTS charts_of ON charts (node)")

    def of_block(self, node: Node) -> list[tuple[int, str]]:
        """Return number and name of each finding chart of a block."""
        rows = self._database.execute("SELECT id, name FROM charts WHERE node = ? ORDER BY id", node.id)
        return [(number, name) for number, name in rows]

    def data(self, number: int) -> bytes:
        """Return a finding chart."""
        return bytes(self._database.execute("SELECT data FROM charts WHERE id = ?", number)[0][0])

    def add(self, node: Node, name: str, data: bytes) -> None:
        """Add a finding chart to a block.

        Raises
        ------
        ServiceError
            The block, or the owner, has too many.
        """
        count = "SELECT count(*) FROM charts JOIN nodes ON charts.node = nodes.id WHERE owner = ?"
        if len(self.of_block(node)) >= MAX_CHARTS:
            raise ServiceError(409, f"{MAX_CHARTS} finding charts of a block are the most", limit=MAX_CHARTS)
        if self._database.execute(count, node.owner)[0][0] >= MAX_CHARTS_OF_OWNER:
            raise ServiceError(429, f"{MAX_CHARTS_OF_OWNER} finding charts are the most", limit=MAX_CHARTS_OF_OWNER)
        self._database.execute("INSERT INTO charts (node, name, data) VALUES (?, ?, ?)", node.id, name, data)

    def delete(self, number: int) -> None:
        """Delete a finding chart."""
        self._database.execute("DELETE FROM charts WHERE id = ?", number)

    def delete_all(self, node: Node) -> None:
        """Delete the finding charts of a block."""
        self._database.execute("DELETE FROM charts WHERE node = ?", node.id)
