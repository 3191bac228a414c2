require "sinatra"
require "uri"

set :bind, "127.0.0.1"
set :port, ENV.fetch("PORT")

helpers do
  def user = request.env["HTTP_X_USER_SUB"]
  def name = URI::DEFAULT_PARSER.unescape(request.env.fetch("HTTP_X_USER_NAME", user)).force_encoding("UTF-8")
end

get "/" do
  erb <<~PAGE, escape_html: true
    <!doctype html><meta charset="utf-8"><title>Ruby</title>
    <% if user %>
      <p>Signed in as <b id="user"><%= name %></b>. <a href="/sign_out">Sign out</a></p>
    <% else %>
      <p><a href="/sign_in">Sign in</a></p>
    <% end %>
  PAGE
end

get "/protected" do
  content_type :json
  { sub: user }.to_json
end
