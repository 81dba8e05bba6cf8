"""An asyncio HTTP client with the interface of aiohttp's, usable on its own."""

from client.connector import BaseConnector, TCPConnector, UnixConnector
from client.response import ClientResponse
from client.session import ClientSession
from client.timeouts import ClientTimeout

__all__ = ["BaseConnector", "ClientResponse", "ClientSession", "ClientTimeout", "TCPConnector", "UnixConnector"]
