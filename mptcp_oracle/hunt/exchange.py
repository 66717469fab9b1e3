"""The exchange: findings of hunts on several machines, in an example database of Hypothesis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from mptcp_oracle.errors import AdapterError, UsageError
from mptcp_oracle.hunt.finding import Finding

__all__ = ["Exchange", "database"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Exchange:
    """Findings of one dissector, version and number of passes.

    Attributes:
        database: Where they are. subject: Dissector, version and passes, in words.
    """

    database: ExampleDatabase
    subject: str

    @property
    def key(self) -> bytes:
        """Under which they are."""
        return f"mptcp-oracle hunt {SCHEMA} {self.subject}".encode()

    def share(self, finding: Finding) -> None:
        """Give a finding to the others: a line of JSON, then the small capture."""
        line = json.dumps(finding.to_json(), sort_keys=True).encode()
        self.database.save(self.key, line + b"\n" + finding.octets)

    def fetch(self) -> Iterator[Finding]:
        """All findings that were shared; what is none is passed over."""
        for value in sorted(self.database.fetch(self.key)):
            line, _, octets = value.partition(b"\n")
            try:
                yield Finding.from_json(json.loads(line), octets)
            except (ValueError, KeyError, TypeError):
                continue


def database(place: str) -> ExampleDatabase:
    """The database of a folder, or of a Redis server.

    Args:
        place: A path, or ``redis://HOST:PORT/NUMBER``.

    Raises:
        AdapterError: The Python package ``redis`` is missing. UsageError: There is no such server.
    """
    if not place.startswith(("redis://", "rediss://", "unix://")):
        return DirectoryBasedExampleDatabase(Path(place))
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis
        from redis.exceptions import RedisError
    except ImportError as error:
        raise AdapterError(
            "a Redis server is asked with the package redis",
            cause=str(error),
            hint="pip install 'mptcp-oracle[hunt]'",
        ) from error
    server = Redis.from_url(place)
    try:
        server.ping()
    except (RedisError, ValueError) as error:
        raise UsageError("the Redis server cannot be used", cause=str(error), file=place) from error
    return RedisExampleDatabase(server)
