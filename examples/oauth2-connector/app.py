import json
import os
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import unquote
from urllib.request import Request, urlopen

API = os.environ.get("ACME_API", "http://localhost:3001/acme/oauth/userinfo")


def projects(token):
    """What Acme says with the user's own token."""
    try:
        with urlopen(Request(API, headers={"Authorization": f"Bearer {token}"}), timeout=5) as answer:
            return ", ".join(json.load(answer)["projects"])
    except HTTPError as error:
        return f"Acme answers {error.code}"
    except OSError:
        return "Acme does not answer"


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        user, account = self.headers["X-User-Sub"], self.headers["X-Acme-Id"]
        name = unquote(self.headers["X-User-Name"] or user)
        token = self.headers["X-Acme-Token"]
        page = f"""<!doctype html><meta charset="utf-8"><title>Acme</title>
<p>Signed in as <b id="user">{escape(name)}</b> ({escape(user)}), <span id="account">{escape(account or "no one")}</span> at Acme.
<p>Projects at Acme: <span id="projects">{escape(projects(token) if token else "no token")}</span>
<p><a href="/.logto/sign-out">Sign out</a>
"""
        body = page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
