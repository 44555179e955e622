//! What an administrator can set on a domain controller, as far as clients notice; it knows no request.

/// The way in which the last full range of a long attribute ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeEnd {
    /// The range that holds the last value is named `…-*`.
    Star,
    /// A full last range is named by its number; the next request gets the range without values.
    NoValues,
    /// A full last range is named by its number; the next request gets no such attribute.
    Absent,
}

/// How the server spells the range option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeSpelling {
    /// `member;range=0-1499`
    Lower,
    /// `Member;Range=0-1499`
    Capitalised,
}

/// What an account without the right to replicate gets for a DirSync request that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirSyncDenial {
    /// insufficientAccessRights (50).
    Refused,
    /// Success without any entry.
    SilentlyEmpty,
}

/// Whether the server's own entry tells what the bound account counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenGroups {
    /// To who asks for it.
    Told,
    /// To nobody.
    Silent,
}

/// Limits and policies of the server; the defaults are those of a real one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most entries in one page or in one search without paging.
    pub max_page_size: usize,
    /// Most values of one attribute in one answer.
    pub max_val_range: usize,
    /// How the last full range ends.
    pub range_end: RangeEnd,
    /// How ranges are spelled.
    pub range_spelling: RangeSpelling,
    /// Most objects in one DirSync answer.
    pub dirsync_batch: usize,
    /// What DirSync without rights answers.
    pub dirsync_denial: DirSyncDenial,
    /// Refuses passwords over connections without TLS with strongerAuthRequired (8).
    pub require_tls: bool,
    /// Tells at its own entry what the bound account counts as.
    pub token: TokenGroups,
    /// Sends `SearchResultReference` messages for the other naming contexts.
    pub referrals: bool,
    /// Largest request in bytes.
    pub max_receive_buffer: usize,
    /// Names and addresses in the certificate; the DC's own DNS name is added unless `only_these_names`.
    pub certificate_names: Vec<String>,
    /// Leaves the DC's own name out of the certificate, so that a wrong one can be presented.
    pub only_these_names: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_page_size: 1000,
            max_val_range: 1500,
            range_end: RangeEnd::Star,
            range_spelling: RangeSpelling::Lower,
            dirsync_batch: 1000,
            dirsync_denial: DirSyncDenial::Refused,
            require_tls: false,
            token: TokenGroups::Told,
            referrals: true,
            max_receive_buffer: 10_485_760,
            certificate_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            only_these_names: false,
        }
    }
}
