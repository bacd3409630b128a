"""An https server on loopback with the rig's certificate that answers what a test says: the
documents and endpoints of an issuer that is wrong, slow or absent."""

import http.server
import json
import ssl
import threading


class ScriptedIssuer:
    def __init__(self, rig):
        self.requests = []  # (method, path, body), in order
        self.headers = {}  # path → those of its last request
        self.answers = {}  # path → (status, headers, body), or a function of the body that gives it
        self.released = threading.Event()  # what hangs does so until then
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = rig.state["certs"]["good"]
        context.load_cert_chain(pair["cert"], pair["key"])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.url = f"https://localhost:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def handler(self):
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                issuer.requests.append((self.command, self.path, body))
                issuer.headers[self.path] = dict(self.headers)
                answer = issuer.answers.get(self.path, (404, {}, b"not here"))
                status, headers, content = answer(body) if callable(answer) else answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    pass  # who asked had enough

            do_POST = do_GET

            def log_message(self, *arguments):
                pass

        return Handler

    def say(self, path, document, status=200):
        self.answers[path] = (status, {"Content-Type": "application/json"},
                              json.dumps(document).encode())

    def hang(self, _):
        self.released.wait()
        return 503, {}, b""

    def paths(self):
        return [path for _, path, _ in self.requests]

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
