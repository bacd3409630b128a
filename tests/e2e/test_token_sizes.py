"""Access tokens of the sizes that providers give out, and beyond: what the servers take, arrives."""

import pytest

from ecluse_support import ALICE
from protocols import PROTOCOLS
from scripted_upstream import polite

# The longest token that each takes: its lines end somewhere. Nobody takes one in an initial
# response over POP3 or SMTP from 1.5 KB on.
TAKES = {"imaps": 6000, "pop3s": 6000, "submissions": 6000, "postfixs": 8000}
PROTOCOL_OF = {"imaps": "imap", "pop3s": "pop3", "submissions": "smtp", "postfixs": "smtp"}
SIZES = (43, 1200, 2500, 6000, 8000)


@pytest.mark.parametrize("scheme", ["tls", "starttls"])
@pytest.mark.parametrize("server", TAKES)
@pytest.mark.parametrize("size", SIZES)
def test_at_real_servers(ecluse, rig, server, size, scheme):
    if server not in rig.ports:
        server = "submissions"  # without root there is no Postfix
    protocol = PROTOCOL_OF[server]
    port = rig.ports[server if scheme == "tls" else server[:-1]]
    ecluse.set("provider local", **{protocol: f"{scheme}://localhost:{port}"})
    rig.knob("token_size", size)
    ecluse.ready("alice")
    assert len(ecluse.access_token("alice")) == size
    said = PROTOCOLS[protocol]
    reply = ecluse.try_login("alice", protocol=protocol)
    if size <= TAKES[server]:
        assert reply.startswith(said.logged_in), reply
    else:
        assert reply.startswith(said.unreachable), reply
        assert ecluse.try_login("alice", protocol=protocol) == reply  # and it stays in good order


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [22, 2500, 8000, 16384])
def test_they_arrive_whole(ecluse, rig, upstreams, protocol, size, mechanism):
    upstream = upstreams(polite, protocol)
    ecluse.serve_from(upstream, "alice", mechanisms=mechanism)
    rig.knob("token_size", size)
    ecluse.ready("alice").raw_session("alice", protocol)
    connection, = upstream.connections
    assert (connection.mechanism, connection.user) == (mechanism, ALICE)
    assert connection.token == ecluse.access_token("alice") and len(connection.token) == size
