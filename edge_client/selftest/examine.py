"""All checks, from the lens to the cloud."""

from __future__ import annotations

from collections.abc import Iterator

from edge_client.selftest.camera import check_bundle, check_camera, check_encoder
from edge_client.selftest.cloud import check_cloud
from edge_client.selftest.disk import check_key, check_state
from edge_client.settings import EdgeSettings
from narrows.contract.wire.keys import check_stream_id
from narrows.runtime.finding import Finding


def examine(settings: EdgeSettings) -> Iterator[Finding]:
    """One check after the other, as each is done; a failed one does not end the test.

    Raises:
        StreamIdInvalid: the stream's id can be no stream's.
    """
    check_stream_id(settings.stream)
    camera, picture = check_camera(settings)
    yield camera
    found, bundle = check_bundle(settings.bundle)
    yield found
    if bundle is not None:
        yield from check_encoder(settings, bundle, picture)
    yield check_state(settings)
    yield check_key(settings)
    yield from check_cloud(settings, bundle)
