//! One body type for every message that passes or is made: empty, whole, or streamed without trailers.
//!
//! Promises exact size hints, so that hyper frames a forwarded body anew from what is known of its length, and
//! that no trailer passes (a trailer is a header that no sanitiser saw). Never buffers a stream. A guard or a
//! callback may be tied to the body's end, however it ends.

use ::http_body::{Body as HttpBody, Frame, SizeHint};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A message body.
pub struct Body {
    content: Content,
    /// Bytes handed on so far.
    bytes: u64,
    /// Most bytes that may be handed on.
    limit: u64,
    guard: Option<Box<dyn Send>>,
    on_end: Option<Box<dyn FnOnce(BodyEnd) + Send>>,
}

enum Content {
    Empty,
    Full(Bytes),
    Streamed(Incoming),
    /// Broke off: what remains will not come.
    Broken,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyEnd {
    /// Content bytes handed on, without framing.
    pub bytes: u64,
    /// Whether all of it was.
    pub outcome: Outcome,
}

/// Whether all of a body was handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// To its last byte.
    Complete,
    /// The sender broke off, or sent what it must not.
    Failed,
    /// The receiver stopped reading.
    Abandoned,
}

/// Why a body broke off. Whose fault it is depends on who sent the body: for a request the client's (answer 400
/// or 413 when nothing was answered yet), for a response the application's.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than [`Body::with_limit`] allows.
    #[error("the body is larger than the limit")]
    TooLarge,
    /// The framing is broken: a bad chunk size, an overflow.
    #[error("the body's framing is malformed")]
    Malformed(#[source] hyper::Error),
    /// The connection ended before the body did.
    #[error("the body is incomplete")]
    Incomplete(#[source] hyper::Error),
}

/// Why [`read_limited`] has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More bytes than the limit: answer 413.
    #[error("the body is larger than the limit")]
    TooLarge,
    /// The body broke off.
    #[error("the body could not be read")]
    Failed,
}

impl Body {
    /// A body without content.
    pub fn empty() -> Self {
        Self::new(Content::Empty)
    }

    /// A body that is known whole.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self::new(Content::Full(bytes))
        }
    }

    /// A body that is passed on as it arrives, with back-pressure, its trailers dropped.
    pub fn streamed(incoming: Incoming) -> Self {
        if incoming.is_end_stream() {
            Self::empty()
        } else {
            Self::new(Content::Streamed(incoming))
        }
    }

    /// Keeps `guard` until the body has ended or is dropped. Several guards may be added.
    #[must_use]
    pub fn with_guard<G: Send + 'static>(mut self, guard: G) -> Self {
        self.guard = Some(match self.guard.take() {
            None => Box::new(guard),
            Some(earlier) => Box::new((guard, earlier)),
        });
        self
    }

    /// Calls `callback` once when the body has ended or is dropped. Several callbacks may be added; they run in
    /// the order they were added.
    #[must_use]
    pub fn on_end(mut self, callback: impl FnOnce(BodyEnd) + Send + 'static) -> Self {
        self.on_end = Some(match self.on_end.take() {
            None => Box::new(callback),
            Some(earlier) => Box::new(move |end| {
                earlier(end);
                callback(end);
            }),
        });
        self
    }

    /// Lets the body fail with [`BodyError::TooLarge`] after this many bytes.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Whether the body has no content (left) for certain.
    pub fn is_empty(&self) -> bool {
        self.is_end_stream()
    }

    fn new(content: Content) -> Self {
        Self {
            content,
            bytes: 0,
            limit: u64::MAX,
            guard: None,
            on_end: None,
        }
    }

    /// Runs what was tied to the end, once.
    fn end(&mut self, outcome: Outcome) {
        if let Some(callback) = self.on_end.take() {
            callback(BodyEnd {
                bytes: self.bytes,
                outcome,
            });
        }
        self.guard = None;
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.content = Content::Broken;
        self.end(Outcome::Failed);
        Poll::Ready(Some(Err(error)))
    }

    fn pass(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let total = self.bytes.saturating_add(length);
        if total > self.limit {
            return self.fail(BodyError::TooLarge);
        }
        self.bytes = total;
        // hyper does not ask again once the announced length was passed on.
        if self.is_end_stream() {
            self.end(Outcome::Complete);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match &mut this.content {
            Content::Empty => {
                this.end(Outcome::Complete);
                Poll::Ready(None)
            }
            Content::Broken => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.content = Content::Empty;
                this.pass(bytes)
            }
            Content::Streamed(incoming) => match ready!(Pin::new(incoming).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.pass(data)
                    } else {
                        // Trailers are the last frame there is.
                        this.content = Content::Empty;
                        this.end(Outcome::Complete);
                        Poll::Ready(None)
                    }
                }
                Some(Err(error)) => this.fail(classify(error)),
                None => {
                    this.content = Content::Empty;
                    this.end(Outcome::Complete);
                    Poll::Ready(None)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            // Broken is not ended: a body cut short must not look whole.
            Content::Full(_) | Content::Broken => false,
            Content::Streamed(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Content::Streamed(incoming) => incoming.size_hint(),
            Content::Broken => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let outcome = if self.is_end_stream() {
            Outcome::Complete
        } else {
            Outcome::Abandoned
        };
        self.end(outcome);
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.content {
            Content::Empty => "Empty",
            Content::Full(_) => "Full",
            Content::Streamed(_) => "Streamed",
            Content::Broken => "Broken",
        };
        // The content may hold secrets.
        write!(formatter, "Body({kind})")
    }
}

/// Reads a body whole, up to `limit` bytes. Does not read on once the limit is passed, and does not read at all
/// when the announced length is beyond it. The caller sets a deadline.
///
/// # Errors
/// [`ReadError::TooLarge`] beyond `limit`, [`ReadError::Failed`] when the body breaks off.
pub async fn read_limited<B>(body: B, limit: usize) -> Result<Bytes, ReadError>
where
    B: HttpBody<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(ReadError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ReadError::Failed)?.into_data() else {
            continue;
        };
        let length = first
            .len()
            .saturating_add(joined.len())
            .saturating_add(data.len());
        if length > limit {
            return Err(ReadError::TooLarge);
        }
        if joined.is_empty() && first.is_empty() {
            first = data;
        } else {
            // A second piece: from here on they are joined.
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// hyper reports bad chunks as I/O errors inside a body error.
fn classify(error: hyper::Error) -> BodyError {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let kind = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    if matches!(kind, Some(InvalidData | InvalidInput)) {
        BodyError::Malformed(error)
    } else {
        BodyError::Incomplete(error)
    }
}

#[cfg(test)]
mod tests;
