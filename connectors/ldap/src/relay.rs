//! Stands between the server and ldap3: passes on only whole, sound, expected messages, and no more than were asked for.
//!
//! It knows nothing of requests, entries or credentials.
//!
//! ldap3 0.12 offers no hook for its transport, has no bound on the size of a message, queues answers without a bound and
//! panics on malformed ones. It does accept an already open socket. So the session opens the real connection (TLS
//! included) itself and gives ldap3 one end of a local socket pair; this relay joins the two. It reads a message only when
//! the previous one has been taken over, refuses one larger than the cap before reading it, checks it
//! ([`crate::message`]), and ends the connection when more messages or bytes come than the running call may bring. All
//! of it, ldap3's driver included, is polled by the call that waits for the answer: there is no task to leak, and
//! between calls a talkative server fills its own send buffer and nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tenantry::{Error, ErrorKind, Retry};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::ber;
use crate::message::{self, Envelope};

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The server closed it.
    Closed,
    /// Reading or writing failed.
    Io(io::Error),
    /// The server said that it is about to disconnect.
    Notice(i64),
    /// An answer that cannot be understood.
    Malformed(&'static str),
    /// One message above the cap.
    TooLarge { bytes: usize, cap: usize },
    /// More messages than the call may bring.
    TooMany { allowed: u64 },
    /// More bytes than the call may bring.
    TooMuch { allowed: u64 },
    /// ldap3's driver panicked.
    Panicked,
    /// This side ended it.
    Local,
}

impl End {
    /// Translates the end of the connection into the error of the call that was waiting.
    pub(crate) fn into_error(self) -> Error {
        let unavailable = |text: &'static str| Error::new(ErrorKind::Unavailable, text).with_retry(Retry::Backoff);
        match self {
            Self::Closed => unavailable("the server closed the connection"),
            Self::Io(error) => unavailable("the connection failed").with_source(error),
            Self::Notice(code) => {
                unavailable("the server announced that it disconnects").with_context("result code", code)
            }
            Self::Local => unavailable("the connection was closed on this side"),
            Self::Malformed(what) => Error::protocol("the server sent a malformed message").with_context("found", what),
            Self::Panicked => Error::protocol("the LDAP library could not cope with an answer of the server"),
            Self::TooLarge { bytes, cap } => Error::protocol("the server sent a message above the size limit")
                .with_context("bytes", bytes)
                .with_context("limit", cap),
            Self::TooMany { allowed } => {
                Error::protocol("the server sent more messages than were asked for").with_context("allowed", allowed)
            }
            Self::TooMuch { allowed } => Error::protocol("the answer is above the size limit; ask for smaller pages")
                .with_context("limit", allowed),
        }
    }
}

/// What the running call may bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Operations that may answer the call.
    pub(crate) operations: &'static [u8],
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// The allowance, shared between the session, which sets it, and the relay, which spends it.
#[derive(Debug)]
pub(crate) struct Meter(Mutex<(Allowance, u64, u64)>);

impl Meter {
    pub(crate) fn new() -> Self {
        let nothing = Allowance { operations: &[], messages: 0, bytes: 0 };
        Self(Mutex::new((nothing, 0, 0)))
    }

    pub(crate) fn set(&self, allowance: Allowance) {
        *self.state() = (allowance, 0, 0);
    }

    fn spend(&self, operation: u8, size: usize) -> Result<(), End> {
        let mut state = self.state();
        state.1 += 1;
        state.2 += size as u64;
        let (allowance, messages, bytes) = *state;
        if messages > allowance.messages {
            return Err(End::TooMany { allowed: allowance.messages });
        }
        if bytes > allowance.bytes {
            return Err(End::TooMuch { allowed: allowance.bytes });
        }
        if operation != message::INTERMEDIATE && !allowance.operations.contains(&operation) {
            return Err(End::Malformed("an answer to something else than was asked"));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, (Allowance, u64, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts a stream of bytes into whole messages.
#[derive(Debug)]
pub(crate) struct Incoming {
    buffer: BytesMut,
    cap: usize,
}

impl Incoming {
    pub(crate) fn new(cap: usize) -> Self {
        Self { buffer: BytesMut::new(), cap }
    }

    /// Returns whether bytes are left over.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads one message.
    pub(crate) async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<BytesMut, End> {
        loop {
            if let Some(&first) = self.buffer.first()
                && first != ber::SEQUENCE
            {
                return Err(End::Malformed("something that is not LDAP"));
            }
            if let Some((head, length)) = ber::header(&self.buffer).map_err(End::Malformed)? {
                let size = head.saturating_add(length);
                if size > self.cap {
                    return Err(End::TooLarge { bytes: size, cap: self.cap });
                }
                if self.buffer.len() >= size {
                    return Ok(self.buffer.split_to(size));
                }
            }
            // Grows with what has really come, not with what was announced.
            self.buffer.reserve(16 * 1024);
            match stream.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.is_empty() => return Err(End::Closed),
                Ok(0) => return Err(End::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(End::Io(error)),
            }
        }
    }
}

/// Joins the server and ldap3 until one of them ends or the server breaks the rules.
pub(crate) async fn relay<S, L>(server: S, local: L, meter: &Meter, cap: usize) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    L: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut server_read, mut server_write) = io::split(server);
    let (mut local_read, mut local_write) = io::split(local);
    let up = async {
        match io::copy(&mut local_read, &mut server_write).await {
            Ok(_) => {
                // The other side may be gone already; there is nobody left to tell.
                let _ = server_write.shutdown().await;
                End::Local
            }
            Err(error) => End::Io(error),
        }
    };
    let down = async {
        let mut incoming = Incoming::new(cap);
        loop {
            match pass_on(&mut incoming, &mut server_read, &mut local_write, meter).await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    };
    tokio::select! {
        end = up => end,
        end = down => end,
    }
}

async fn pass_on(
    incoming: &mut Incoming,
    server: &mut (impl AsyncRead + Unpin),
    local: &mut (impl AsyncWrite + Unpin),
    meter: &Meter,
) -> Result<(), End> {
    let mut bytes = incoming.next(server).await?;
    let Envelope { id, operation, code } = message::inspect(&mut bytes).map_err(End::Malformed)?;
    if id == 0 {
        return Err(End::Notice(code.unwrap_or_default()));
    }
    meter.spend(operation, bytes.len())?;
    if operation == message::INTERMEDIATE {
        // Nothing here asks for intermediate answers, and ldap3 would take one for an entry.
        return Ok(());
    }
    local.write_all(&bytes).await.map_err(|_| End::Local)
}
