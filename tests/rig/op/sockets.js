// A TCP reset under TLS: Node can only reset the plain socket below, so these
// are kept, by the peer's port.
const plain = new Map();

export function remember(server) {
  server.on('connection', (socket) => {
    const { remotePort } = socket;
    plain.set(remotePort, socket);
    socket.on('close', () => {
      if (plain.get(remotePort) === socket) plain.delete(remotePort);
    });
  });
}

export function reset(tlsSocket) {
  const below = plain.get(tlsSocket.remotePort);
  if (below) below.resetAndDestroy();
  tlsSocket.destroy();
}
