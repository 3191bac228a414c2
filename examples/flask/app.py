from flask import Flask, render_template_string, request
from urllib.parse import unquote

app = Flask(__name__)

HOME = """<!doctype html><title>Flask</title>
{% if user %}
<p>Signed in as <b id="user">{{ name or user }}</b> ({{ user }}). <a href="/sign-out">Sign out</a></p>
{% else %}
<p>Not signed in. <a href="/sign-in">Sign in</a> or <a href="/sign-in?first_screen=register">sign up</a></p>
{% endif %}
"""


@app.get("/")
def home():
    user = request.headers.get("X-User-Sub")
    return render_template_string(HOME, user=user, name=unquote(request.headers.get("X-User-Name", "")))


@app.get("/protected")
def protected():
    roles = [unquote(role) for role in request.headers.get("X-User-Roles", "").split(",") if role]
    return {"sub": request.headers["X-User-Sub"], "roles": roles}
