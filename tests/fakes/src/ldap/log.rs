//! The record of what clients asked for, without any password; it knows no directory.

use std::sync::{Arc, Mutex, PoisonError};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// A bind with this name; the password is not kept.
    Bind {
        /// DN, UPN or `DOMAIN\user` as sent.
        name: String,
    },
    /// StartTLS.
    StartTls,
    /// A search.
    Search {
        /// The base as sent.
        base: String,
        /// `base`, `one` or `sub`.
        scope: &'static str,
        /// The filter in its text form.
        filter: String,
        /// The attributes as sent.
        attributes: Vec<String>,
        /// The OIDs of the controls.
        controls: Vec<String>,
    },
    /// A modification.
    Modify {
        /// The DN as sent.
        dn: String,
        /// `add`, `delete` or `replace` with the attribute, in order.
        changes: Vec<(&'static str, String)>,
    },
    /// An addition.
    Add {
        /// The DN as sent.
        dn: String,
    },
    /// A deletion.
    Delete {
        /// The DN as sent.
        dn: String,
    },
    /// A renaming or a move.
    Rename {
        /// The DN as sent.
        dn: String,
    },
    /// A request to stop an operation.
    Abandon,
    /// The client's good-bye.
    Unbind,
    /// Anything else.
    Other,
}

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Counts connections from 1.
    pub connection: u64,
    /// Whether TLS was on.
    pub secure: bool,
    /// What was asked for.
    pub request: Request,
    /// The result code; `None` when nothing was answered.
    pub result: Option<u32>,
    /// Entries sent.
    pub entries: usize,
}

/// A handle to the record.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    lines: Arc<Mutex<Vec<Logged>>>,
}

impl RequestLog {
    pub(crate) fn add(&self, line: Logged) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Returns everything in order.
    pub fn all(&self) -> Vec<Logged> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the names that tried to bind, in order.
    pub fn binds(&self) -> Vec<String> {
        let name = |line: Logged| match line.request {
            Request::Bind { name } => Some(name),
            _ => None,
        };
        self.all().into_iter().filter_map(name).collect()
    }

    /// Returns the searches, in order.
    pub fn searches(&self) -> Vec<Logged> {
        self.all().into_iter().filter(|line| matches!(line.request, Request::Search { .. })).collect()
    }

    /// Returns the writes, in order.
    pub fn writes(&self) -> Vec<Logged> {
        self.all().into_iter().filter(|line| is_write(&line.request)).collect()
    }

    /// Returns how many connections asked for something.
    pub fn connections(&self) -> usize {
        let numbers: std::collections::BTreeSet<_> = self.all().iter().map(|line| line.connection).collect();
        numbers.len()
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

pub(crate) fn is_write(request: &Request) -> bool {
    matches!(request, Request::Modify { .. } | Request::Add { .. } | Request::Delete { .. } | Request::Rename { .. })
}
