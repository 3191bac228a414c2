//! A WebSocket to the app, as a visitor's page holds it.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::proxy::Proxy;
use super::visitor::Visitor;
use super::wait::PATIENCE;

/// Open until the test drops it or the other side ends it.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens the app's echo at this very process, with the visitor's cookies.
    pub async fn open(visitor: &Visitor, proxy: &Proxy) -> Self {
        let address = proxy.own_url("/ws").replacen("http", "ws", 1);
        let mut request = address.into_client_request().expect("an address");
        let headers = request.headers_mut();
        let origin = proxy.url("");
        headers.insert("origin", origin.parse().expect("an origin"));
        let cookies = visitor.cookie_field("localhost");
        headers.insert("cookie", cookies.parse().expect("cookies"));
        let (socket, _) = connect_async(request).await.expect("the WebSocket opens");
        let mut socket = Self(socket);
        assert!(socket.echoes().await, "a new WebSocket echoes");
        socket
    }

    /// Whether what is sent comes back.
    pub async fn echoes(&mut self) -> bool {
        if self.0.send(Message::text("still here?")).await.is_err() {
            return false;
        }
        let answer = tokio::time::timeout(PATIENCE, self.0.next()).await;
        matches!(answer, Ok(Some(Ok(Message::Text(text)))) if text.as_str() == "still here?")
    }

    /// Waits until the other side ends it. The code of the close frame, if there was one.
    pub async fn closed(mut self) -> Option<u16> {
        let end = async {
            while let Some(Ok(message)) = self.0.next().await {
                if let Message::Close(frame) = message {
                    return frame.map(|frame| frame.code.into());
                }
            }
            None
        };
        tokio::time::timeout(PATIENCE, end)
            .await
            .expect("the WebSocket is closed")
    }
}
