//! A request body on its way out, telling its connection whose turn it is.

use super::wire::Wire;
use crate::http::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A [`Body`] that reports its progress to a [`Wire`]; without one when there is nothing to report.
pub(super) struct Outgoing {
    body: Body,
    wire: Option<Arc<Wire>>,
}

impl Outgoing {
    /// Wraps a body that will be sent over the connection that `wire` describes.
    pub(super) fn new(body: Body, wire: &Arc<Wire>) -> Self {
        let wire = (!body.is_end_stream()).then(|| Arc::clone(wire));
        Self { body, wire }
    }

    /// The body, untouched if it was never polled.
    pub(super) fn into_body(self) -> Body {
        self.body
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Some(wire) = &self.wire else {
            return polled.map_err(|_| BodyFailed);
        };
        match polled {
            Poll::Pending => {
                wire.wait_for_client();
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                wire.body_moved();
                if self.body.is_end_stream() {
                    wire.request_sent();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                wire.body_failed(error);
                Poll::Ready(Some(Err(BodyFailed)))
            }
            Poll::Ready(None) => {
                wire.body_moved();
                wire.request_sent();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The client's body failed; the [`Wire`] knows why.
#[derive(Debug, thiserror::Error)]
#[error("the request body failed")]
pub(super) struct BodyFailed;
