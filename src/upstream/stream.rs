//! The bytes of one connection: TCP, TLS or unix, with what hyper cannot tell us noted on the [`Wire`].
//!
//! An app that answers early and closes makes our next write fail before its answer was read. Such a failure is kept
//! from hyper, which would throw the answer away: the write merely never proceeds, and the reading side says what
//! became of the connection, the answer or the end.

use super::wire::Wire;
use crate::vectored::{SMALL, as_one};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// An established transport.
pub(super) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// A transport and the state of its connection.
pub(super) struct Stream {
    transport: Transport,
    wire: Arc<Wire>,
    write_broken: bool,
}

impl Stream {
    pub(super) fn new(transport: Transport, wire: Arc<Wire>) -> Self {
        Self {
            transport,
            wire,
            write_broken: false,
        }
    }

    /// Turns a failed write into one that does not proceed, while the connection speaks HTTP.
    fn written<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Err(_)) if !self.wire.is_tunnel() => {
                self.write_broken = true;
                Poll::Pending
            }
            other => other,
        }
    }
}

/// Calls a method of whichever transport it is.
macro_rules! transport {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport {
            Transport::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Transport::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
            Transport::Unix($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = transport!(&mut self.transport, stream => stream.poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.wire.byte_arrived();
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_broken {
            return Poll::Pending;
        }
        let polled = transport!(&mut self.transport, stream => stream.poll_write(context, bytes));
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_broken {
            return Poll::Pending;
        }
        let mut room = [0; SMALL];
        if let Some(bytes) = as_one(slices, &mut room) {
            return self.poll_write(context, bytes);
        }
        let polled = transport!(&mut self.transport, stream => stream.poll_write_vectored(context, slices));
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
            Transport::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_broken {
            return Poll::Pending;
        }
        let polled = transport!(&mut self.transport, stream => stream.poll_flush(context));
        self.written(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_broken {
            return Poll::Ready(Ok(()));
        }
        transport!(&mut self.transport, stream => stream.poll_shutdown(context))
    }
}
