"""The database: migrations, transactions, leases."""

import os
import threading

import pytest
import sqlalchemy as sa

from elvis_cli.errors import ResourceError
from elvis_cli.observatory import database, tables
from elvis_cli.observatory.database import HEAD, Database
from elvis_cli.observatory.parameters import Parameters
from elvis_cli.observatory.source import Source
from elvis_cli.observatory.steps import FETCH, STEPS, SourceResult
from elvis_cli.observatory.store import Store


def store_of(address, **patch):
    return Store(Database(address), Parameters.load(None, patch))


def filled(address, count=20, **patch):
    store = store_of(address, **patch)
    sources = [Source(f"S{n}", float(n), 0.0, 18.0, 0.1, "R") for n in range(count)]
    store.prepare(sources, [("DEMO", [True] * count)])
    return store


def test_the_migrations_make_the_tables_that_the_code_has(address):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    made = Database(address)
    assert made.revision() == HEAD
    with made.write() as connection:
        options = {"version_table": tables.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []
        database.upgrade(connection, "base", down=True)
        assert set(sa.inspect(connection).get_table_names()) <= {tables.VERSION_TABLE}
    made.close()
    again = Database(address)
    assert again.revision() == HEAD
    again.close()


def test_a_database_of_a_later_version_is_refused(address):
    made = Database(address)
    with made.write() as connection:
        connection.execute(sa.text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'"))
    made.close()
    with pytest.raises(ResourceError, match="another version"):
        Database(address)


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.delenv("ELVIS_DATABASE", raising=False)
    assert database.address(None, tmp_path).endswith("observatory.sqlite")
    with pytest.raises(ResourceError, match="password"):
        database.address("postgresql+psycopg://me:secret@host/name", tmp_path)
    with pytest.raises(ResourceError, match="mysql"):
        database.address("mysql://host/name", tmp_path)
    monkeypatch.setenv("ELVIS_DATABASE", "postgresql+psycopg://me:secret@host/name")
    assert "secret" in database.address(None, tmp_path)


def test_sqlite_is_in_wal_mode(tmp_path):
    made = Database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with made.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    made.close()


def test_no_two_workers_have_the_same_lease(address):
    store = filled(address, 60)
    taken, lock = [], threading.Lock()

    def work(number):
        own = Store(store.database, store.parameters)
        own.worker = f"{os.uname().nodename}:{os.getpid()}:{number}"
        while claimed := own.claim(STEPS, 3):
            with lock:
                taken.extend(one.name for _, one in claimed)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(taken) == sorted({f"S{n}" for n in range(60)})
    store.database.close()


def test_claiming_a_source_does_not_look_through_those_that_are_done(tmp_path):
    """Steps of SQLite's virtual machine, by hundreds: a claim among the last as many as one among the first."""
    store = filled(f"sqlite:///{tmp_path / 'many.sqlite'}", 400)
    steps, claims = [0], []
    with store.database.write() as connection:
        connection.connection.driver_connection.set_progress_handler(lambda: steps.append(0), 100)
    while claimed := store.claim(STEPS, 20):
        claims.append(len(steps))
        steps.clear()
        assert len(claimed) == 20
    store.database.close()
    assert len(claims) == 20
    assert max(claims[1:]) < 1.5 * min(claims[1:])


def test_a_source_that_comes_free_before_the_last_claimed_is_claimed(tmp_path):
    store = filled(f"sqlite:///{tmp_path / 'few.sqlite'}", 6)
    first = store.claim(STEPS, 2)
    assert len(store.claim(STEPS, 4)) == 4
    store.reopen_abandoned(STEPS)
    assert store.claim(STEPS, 5) == []  # this process is alive
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE task SET state = 'open' WHERE source = {first[0][0]}")
    assert [number for number, _ in store.claim(STEPS, 5)] == [first[0][0]]
    store.database.close()


def test_a_lease_that_is_over_is_taken_over_and_the_late_result_is_refused(address, monkeypatch):
    store = filled(address, 1, lease=5.0)
    ((number, source),) = store.claim(STEPS, 5)
    other = Store(store.database, store.parameters)
    other.worker = "elsewhere:1:2"
    assert other.claim(STEPS, 5) == []
    real = database.now
    monkeypatch.setattr("elvis_cli.observatory.store.now", lambda: real() + 6)
    assert [each for _, each in other.claim(STEPS, 5)] == [source]
    result = SourceResult(source, done=[("DEMO", FETCH)])
    assert store.commit([(number, result)]) == [False]
    assert other.commit([(number, result)]) == [True]
    store.database.close()


def test_leases_of_processes_that_are_gone_are_free_at_once(address):
    store = filled(address, 2)
    dead = Store(store.database, store.parameters)
    dead.worker = f"{os.uname().nodename}:999999999:1"
    assert len(dead.claim(STEPS, 5)) == 2
    assert store.claim(STEPS, 5) == []
    assert store.held_by_others(STEPS)
    store.reopen_abandoned(STEPS)
    assert len(store.claim(STEPS, 5)) == 2
    store.release()
    assert len(store.claim(STEPS, 5)) == 2
    store.database.close()


def test_steps_wait_for_the_earlier_ones(address):
    store = filled(address, 1)
    assert store.claim(("reduce",), 5) == []
    ((number, source),) = store.claim(("fetch",), 5)
    assert store.commit([(number, SourceResult(source, done=[("DEMO", FETCH)]))]) == [True]
    assert len(store.claim(("reduce",), 5)) == 1
    store.database.close()


def test_workers_are_told_apart():
    me = database.worker_name()
    assert database.is_alive(me)
    host, number, began = me.rsplit(":", 2)
    assert not database.is_alive(f"{host}:{number}:{int(began) + 1}")
    assert database.is_alive(f"elsewhere:{number}:5")
