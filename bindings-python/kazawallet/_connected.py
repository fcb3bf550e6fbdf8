"""What the two clients share, and what all their resources share: a connection of the core."""

from __future__ import annotations

from ._kazawallet import Connection


class ConnectedClient:
    """A client's options. What it offers is attached once there is a connection."""

    __slots__ = ("__weakref__", "_connection")

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_secret: str | None = None,
        merchant_email: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        max_retries: int | None = None,
        proxy: str | None = None,
        root_certificates: str | bytes | None = None,
        app_name: str | None = None,
    ) -> None:
        self._connection = Connection(
            api_key,
            api_secret,
            merchant_email,
            base_url,
            timeout,
            connect_timeout,
            max_retries,
            proxy,
            root_certificates,
            app_name,
        )
        self._attach(self._connection)

    def _attach(self, connection: Connection) -> None:
        raise NotImplementedError


class Resource:
    """A part of a client, which makes its calls on the client's connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
