"""A page as people write them behind oauth2-proxy: it takes the X-Forwarded-* headers at their word."""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        user = self.headers.get("X-Forwarded-User")
        if user is None:
            return self.answer(401, "Unauthorized")
        email = self.headers.get("X-Forwarded-Email", "")
        groups = [group for group in self.headers.get("X-Forwarded-Groups", "").split(",") if group]
        self.answer(200, f"user={user} email={email} admin={'admin' in groups}")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
print(f"listening on {server.server_port}", flush=True)
sys.exit(server.serve_forever())
