//! Message bodies as they pass through: empty, whole, or streamed without trailers.

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A message body.
pub struct Body {
    kind: Kind,
    guard: Option<Box<dyn Send>>,
}

enum Kind {
    Empty,
    Full(Bytes),
    Streamed(Incoming),
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
#[error("the body ended before its end")]
pub struct BodyError(#[from] hyper::Error);

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::of(Kind::Empty)
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Full(bytes.into()))
    }

    /// What a peer sends, without its trailers.
    pub fn streamed(incoming: Incoming) -> Self {
        Self::of(Kind::Streamed(incoming))
    }

    /// Keeps `guard` until the body ended or is dropped.
    #[must_use]
    pub fn with_guard<G: Send + 'static>(mut self, guard: G) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.is_end_stream()
    }

    fn of(kind: Kind) -> Self {
        Self { kind, guard: None }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Streamed(incoming) => Pin::new(incoming).poll_frame(context).map(|frame| match frame {
                Some(Ok(frame)) if frame.is_trailers() => None,
                other => other.map(|frame| frame.map_err(BodyError)),
            }),
        };
        let ended = match &polled {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(_))) => self.is_end_stream(),
            Poll::Ready(_) => true,
        };
        if ended {
            self.guard = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Streamed(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed(incoming) => incoming.size_hint(),
        }
    }
}
