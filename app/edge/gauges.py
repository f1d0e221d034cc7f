"""What a process tells of its streams, in the format that Prometheus reads.

prometheus-client: the reference library of that format, without dependencies of its own.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

PATH = "/metrics"


class Gauges:
    """Counted by the edge; each application has its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.sockets = Gauge("jishi_sockets", "Websockets that are open", registry=registry)
        self.streams = Gauge("jishi_streams", "Streams that are followed", registry=registry)
        self.channels = Gauge("jishi_channels", "Runs that streams share", registry=registry)
        self.behind = Gauge(
            "jishi_stream_behind", "Events that wait for slow readers", registry=registry
        )
        self.events = Counter(
            "jishi_stream_events", "Events that channels have encoded", registry=registry
        )
        self.messages = Counter(
            "jishi_stream_messages", "Messages that their seats were sent", registry=registry
        )
        self.resumes = Counter(
            "jishi_stream_resumes", "Streams that went on from a cursor", registry=registry
        )
        self.gaps = Counter("jishi_stream_gaps", "Gaps that were told", registry=registry)
        self.lagging = Counter(
            "jishi_stream_lagging", "Streams ended for a slow reader", registry=registry
        )

    async def show(self, _request: Request) -> Response:
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
