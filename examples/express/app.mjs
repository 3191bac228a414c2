import express from "express";

const app = express();

app.use((request, response, next) => {
  const id = request.get("X-User-Sub");
  if (id) request.user = { id, displayName: decodeURIComponent(request.get("X-User-Name") ?? id) };
  next();
});

const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

app.get("/", ({ user }, response) => {
  response.send(
    user
      ? `<h1>Express</h1><p>Signed in as <b id="user">${escape(user.displayName)}</b>, <a href="/sign-out">sign out</a></p>`
      : `<h1>Express</h1><p><a href="/sign-in">Sign in</a></p>`,
  );
});

app.get("/protected", ({ user }, response) => response.json(user));

app.listen(process.env.PORT, "127.0.0.1");
