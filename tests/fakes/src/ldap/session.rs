//! One connection from the first byte to the last: frames, dispatch, faults, the record; it knows no attribute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::ber;
use super::bind;
use super::controls::Controls;
use super::directory::Directory;
use super::directory::state::{Id, Refusal};
use super::faults::{Fault, Faults, Occasion};
use super::ids::Guid;
use super::log::{self, Logged, Request, RequestLog};
use super::message::{self, Change, Message, Operation, Scope, Search};
use super::search::{self, Listings};
use super::settings::Settings;
use super::update::Writer;

const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// What all connections of a server share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) directory: Directory,
    pub(crate) settings: Arc<Mutex<Settings>>,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) acceptor: TlsAcceptor,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Gone,
}

impl Wire {
    async fn read(&mut self, into: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(into).await,
            Self::Tls(stream) => stream.read_buf(into).await,
            Self::Gone => Ok(0),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Gone => Ok(()),
        }
    }
}

enum Then {
    Continue,
    Close,
    StartTls,
}

struct Reaction {
    bytes: Vec<u8>,
    then: Then,
    delay: Duration,
}

struct Session {
    shared: Shared,
    connection: u64,
    secure: bool,
    who: Option<Guid>,
    listings: Listings,
}

/// Serves a connection until one side ends it.
pub(crate) async fn serve(shared: Shared, stream: TcpStream, connection: u64, tls: bool) {
    // An error here is the client's going away: nobody is left to be told.
    let _ = serve_stream(shared, stream, connection, tls).await;
}

async fn serve_stream(shared: Shared, stream: TcpStream, connection: u64, tls: bool) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::Plain(stream);
    let mut session = Session { shared, connection, secure: false, who: None, listings: Listings::default() };
    if tls {
        wire = session.secure(wire).await?;
    }
    let mut buffer = Vec::new();
    loop {
        while let Some(frame) = session.frame(&mut buffer)? {
            let Some(reaction) = session.react(&frame) else { return Ok(()) };
            if !reaction.delay.is_zero() {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a slow server is one of the faults; nothing else waits here"
                )]
                tokio::time::sleep(reaction.delay).await;
            }
            wire.write(&reaction.bytes).await?;
            match reaction.then {
                Then::Continue => {}
                Then::Close => return Ok(()),
                Then::StartTls => {
                    // Bytes sent ahead of the handshake must not be taken for protected ones.
                    buffer.clear();
                    wire = session.secure(wire).await?;
                }
            }
        }
        if wire.read(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

impl Session {
    async fn secure(&mut self, wire: Wire) -> std::io::Result<Wire> {
        let Wire::Plain(stream) = wire else { return Ok(Wire::Gone) };
        let stream = self.shared.acceptor.accept(stream).await?;
        self.secure = true;
        Ok(Wire::Tls(Box::new(stream)))
    }

    fn settings(&self) -> Settings {
        self.shared.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the next whole message out of the buffer.
    fn frame(&self, buffer: &mut Vec<u8>) -> std::io::Result<Option<Vec<u8>>> {
        let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let Some((header, length)) = ber::header(buffer).map_err(|_| invalid())? else { return Ok(None) };
        if length > self.settings().max_receive_buffer {
            return Err(invalid());
        }
        if buffer.len() < header + length {
            return Ok(None);
        }
        let rest = buffer.split_off(header + length);
        Ok(Some(std::mem::replace(buffer, rest)))
    }

    /// Answers one message; `None` ends the connection, as garbage does.
    fn react(&mut self, frame: &[u8]) -> Option<Reaction> {
        let message = Message::read(frame).ok()?;
        let controls = Controls::read(&message.controls);
        let request = describe(&message);
        let occasion = Occasion {
            filter: if let Operation::Search(search) = &message.operation {
                Some(search.filter.to_string())
            } else {
                None
            },
            page: controls.as_ref().ok().and_then(|controls| self.listings.page_of(controls)),
            bind: matches!(request, Request::Bind { .. }),
            write: log::is_write(&request),
        };
        let faults = self.shared.faults.decide(&occasion);
        let times = faults.iter().map(|fault| if let Fault::Delay(time) = fault { *time } else { Duration::ZERO });
        let mut reaction = Reaction { bytes: Vec::new(), then: Then::Continue, delay: times.sum() };
        let mut line = Logged { connection: self.connection, secure: self.secure, request, result: None, entries: 0 };
        if !Self::breaks(&message, &faults, &mut reaction, &mut line) {
            self.operate(message, controls, &faults, &mut reaction, &mut line);
        }
        self.shared.log.add(line);
        Some(reaction)
    }

    /// Does what a fault that replaces the answer asks for; says whether there was one.
    fn breaks(message: &Message, faults: &[Fault], reaction: &mut Reaction, line: &mut Logged) -> bool {
        for fault in faults {
            match fault {
                Fault::Cut => reaction.then = Then::Close,
                Fault::Hang => {}
                Fault::Answer { code, text } => {
                    let result = Refusal::new(*code, text.clone());
                    reaction.bytes = message::write_result(message.id, message.operation.response_tag(), &result, &[]);
                    line.result = Some(*code);
                }
                // An integer that claims more bytes than its message has.
                Fault::MalformedBer => reaction.bytes = vec![0x30, 0x05, 0x02, 0x0a, 0x01, 0x65, 0x00],
                Fault::OversizedLength => reaction.bytes = vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01, 0x02],
                _ => continue,
            }
            return true;
        }
        false
    }

    fn operate(
        &mut self,
        message: Message,
        controls: Result<Controls, Refusal>,
        faults: &[Fault],
        reaction: &mut Reaction,
        line: &mut Logged,
    ) {
        let (id, tag) = (message.id, message.operation.response_tag());
        let result = match (message.operation, controls) {
            (Operation::Unbind, _) => {
                reaction.then = Then::Close;
                return;
            }
            (Operation::Abandon, _) => return,
            (Operation::Extended { oid }, _) => {
                let result = self.extended(&oid, &mut reaction.then);
                reaction.bytes = message::write_extended(id, &oid, &result);
                line.result = Some(result.code);
                return;
            }
            (Operation::Bind { name, password }, _) => self.bind(&name, password.as_deref()),
            (_, Err(refusal)) => refusal,
            (Operation::Search(search), Ok(controls)) => {
                self.search(id, &search, &controls, faults, reaction, line);
                return;
            }
            (operation, Ok(controls)) => {
                let write = || self.write(operation, &controls).err().unwrap_or_else(message::success);
                let result = self.shared.faults.among_others(write);
                if faults.contains(&Fault::LoseAnswer) {
                    reaction.then = Then::Close;
                    return;
                }
                result
            }
        };
        line.result = Some(result.code);
        reaction.bytes = message::write_result(id, tag, &result, &[]);
    }

    fn extended(&self, oid: &str, then: &mut Then) -> Refusal {
        if oid != START_TLS {
            return Refusal::new(
                2,
                "0000203D: LdapErr: DSID-0C090C7D, comment: Unknown extended request OID, data 0, v4563",
            );
        }
        if self.secure {
            return Refusal::new(
                1,
                "00000000: LdapErr: DSID-0C09109C, comment: TLS or SSL already in effect, data 0, v4563",
            );
        }
        *then = Then::StartTls;
        message::success()
    }

    fn bind(&mut self, name: &str, password: Option<&str>) -> Refusal {
        let must_have_tls = self.settings().require_tls && !self.secure;
        // A bind that fails leaves nobody bound.
        self.who = None;
        self.listings = Listings::default();
        let mut state = self.shared.directory.lock();
        match bind::bind(&mut state, name, password, must_have_tls) {
            Ok(who) => {
                self.who = who.map(|id| state.entry(id).guid);
                message::success()
            }
            Err(refusal) => refusal,
        }
    }

    fn search(
        &mut self,
        id: i64,
        search: &Search,
        controls: &Controls,
        faults: &[Fault],
        reaction: &mut Reaction,
        line: &mut Logged,
    ) {
        let settings = self.settings();
        let answer = {
            let state = self.shared.directory.lock();
            let who: Option<Id> = self.who.and_then(|guid| state.by_guid.get(&guid).copied());
            let (state, settings, connection) = (&state, &settings, self.connection);
            let request =
                search::Request { state, settings, who, connection, message_id: id, search, controls, faults };
            request.answer(&mut self.listings)
        };
        let cut =
            faults.iter().find_map(|fault| if let Fault::CutAfterEntries(count) = fault { Some(*count) } else { None });
        if let Some(size) =
            faults.iter().find_map(|fault| if let Fault::OversizedMessage(size) = fault { Some(*size) } else { None })
        {
            reaction.bytes.extend(message::write_large_entry(id, size));
        }
        line.entries = cut.map_or(answer.entries.len(), |count| count.min(answer.entries.len()));
        for entry in &answer.entries[..line.entries] {
            reaction.bytes.extend_from_slice(entry);
        }
        if cut.is_some() {
            reaction.then = Then::Close;
            return;
        }
        line.result = Some(answer.result.code);
        for reference in &answer.references {
            reaction.bytes.extend_from_slice(reference);
        }
        reaction.bytes.extend(message::write_result(id, 0x65, &answer.result, &answer.controls));
    }

    fn write(&self, operation: Operation, controls: &Controls) -> Result<(), Refusal> {
        let mut state = self.shared.directory.lock();
        let who = self.who.and_then(|guid| state.by_guid.get(&guid).copied());
        let mut writer = Writer { state: &mut state, who, secure: self.secure, controls };
        match operation {
            Operation::Modify { dn, changes } => writer.modify(&dn, &changes),
            Operation::Add { dn, attributes } => writer.add(&dn, &attributes),
            Operation::Delete { dn } => writer.delete(&dn),
            Operation::Rename { dn, rdn, parent } => writer.rename(&dn, &rdn, parent.as_deref()),
            _ => Err(Refusal::new(2, "00000057: LdapErr: DSID-0C0C0A5B, comment: this operation is not offered")),
        }
    }
}

/// Says what a message asks for, without its secrets.
fn describe(message: &Message) -> Request {
    let change = |kind: Change| match kind {
        Change::Add => "add",
        Change::Delete => "delete",
        Change::Replace => "replace",
        Change::Other => "other",
    };
    match &message.operation {
        Operation::Bind { name, .. } => Request::Bind { name: name.clone() },
        Operation::Unbind => Request::Unbind,
        Operation::Search(search) => Request::Search {
            base: search.base.clone(),
            scope: match search.scope {
                Scope::Base => "base",
                Scope::One => "one",
                Scope::Sub => "sub",
            },
            filter: search.filter.to_string(),
            attributes: search.attributes.clone(),
            controls: message.controls.iter().map(|control| control.oid.clone()).collect(),
        },
        Operation::Modify { dn, changes } => Request::Modify {
            dn: dn.clone(),
            changes: changes.iter().map(|(kind, name, _)| (change(*kind), name.clone())).collect(),
        },
        Operation::Add { dn, .. } => Request::Add { dn: dn.clone() },
        Operation::Delete { dn } => Request::Delete { dn: dn.clone() },
        Operation::Rename { dn, .. } => Request::Rename { dn: dn.clone() },
        Operation::Abandon => Request::Abandon,
        Operation::Extended { oid } if oid == START_TLS => Request::StartTls,
        Operation::Extended { .. } | Operation::Other(_) => Request::Other,
    }
}
