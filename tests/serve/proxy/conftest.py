"""An upstream, a memory, and a client of the proxy."""

import pytest

from mnemos import Mnemos


@pytest.fixture(scope="module")
def upstream_server():
    from through import Upstream, serving

    upstream = Upstream()
    with serving(upstream.app) as url:
        upstream.url = url
        yield upstream


@pytest.fixture
def upstream(upstream_server):
    from through import Upstream

    fresh = Upstream()
    keep = {"url": upstream_server.url, "app": upstream_server.app}
    upstream_server.__dict__.update(fresh.__dict__ | keep)
    return upstream_server


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        yield memory


@pytest.fixture
def talk(memory, upstream):
    from through import proxied

    with proxied(memory, upstream.url) as talk:
        yield talk
