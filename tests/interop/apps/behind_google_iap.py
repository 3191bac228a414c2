"""A page as Google's own samples are written behind Identity-Aware Proxy: the prefix of the namespace is cut off."""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        user_email = self.headers.get("X-Goog-Authenticated-User-Email")
        user_id = self.headers.get("X-Goog-Authenticated-User-ID")
        if user_email and user_id:
            # "accounts.google.com:someone@example.com"
            text = f"user={user_id.split(':', 1)[1]} email={user_email[user_email.rfind(':') + 1:]}"
        else:
            text = "user=None email=None"
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
print(f"listening on {server.server_port}", flush=True)
sys.exit(server.serve_forever())
