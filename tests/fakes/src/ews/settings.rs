//! What can be set on the service: version, limits, habits of its answers, ways to sign in; it knows no recipient.

use std::time::Duration;

use super::version::Version;

/// What `ServerVersionInfo` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VersionInfo {
    /// What this version tells.
    #[default]
    Own,
    /// The build of this version with another `Version`, such as one that no client knows.
    Named(String),
    /// Another build with its `Version`, such as that of Exchange Online.
    Build([u32; 4], String),
    /// The header is there without anything in it.
    Absent,
}

/// How the paging attributes of an answer are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paging {
    /// `true` and `false`.
    #[default]
    Words,
    /// `1` and `0`.
    Digits,
    /// Neither the flag nor the total is there.
    Absent,
    /// The flag is there, the total is 0.
    NoTotal,
}

/// In which order the addresses of a contact are shown, of which there is room for three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressOrder {
    /// As the directory has them; the primary one takes the last room when it would not be shown.
    #[default]
    AsStored,
    /// The primary one first.
    PrimaryFirst,
    /// The primary one second, where there are two.
    PrimarySecond,
}

/// What is answered where the documentation contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// Success with nothing in it.
    Empty,
    /// `ErrorNameResolutionNoResults`.
    NoResults,
}

/// How a version that the server does not know is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionRefusal {
    /// `ErrorInvalidServerVersion`.
    #[default]
    InvalidServerVersion,
    /// `ErrorIncorrectSchemaVersion`.
    IncorrectSchemaVersion,
    /// `ErrorSchemaValidation`.
    SchemaValidation,
    /// It is not refused: the newest known schema is taken.
    Taken,
}

/// How much the server asks for the binding of a sign-in to the TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExtendedProtection {
    /// A binding is not looked at.
    Off,
    /// A binding must be right where there is one.
    #[default]
    Allowed,
    /// There must be one, and it must be right.
    Required,
}

/// What the server's certificate is signed with, which decides how it is hashed for a binding (RFC 5929).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificateSignature {
    /// ECDSA with SHA-256.
    #[default]
    Sha256,
    /// ECDSA with SHA-384.
    Sha384,
}

/// So many calls of an account in so long a time; more are answered with `ErrorServerBusy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Calls.
    pub calls: u32,
    /// The time, after which the budget is full again.
    pub per: Duration,
}

/// Version, limits and habits; the defaults are those of the real service as far as they are known.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own and is set by name")]
pub struct Settings {
    /// The version of the server.
    pub version: Version,
    /// What it says about its version.
    pub version_info: VersionInfo,
    /// How versions that it does not know are refused.
    pub version_refusal: VersionRefusal,
    /// Most entries of one answer.
    pub cap: usize,
    /// How the paging attributes are written.
    pub paging: Paging,
    /// In which order addresses are shown.
    pub address_order: AddressOrder,
    /// Mail users are shown as `Contact` in place of `Mailbox`.
    pub mail_users_are_contacts: bool,
    /// Hidden recipients are found by a whole address all the same.
    pub hidden_by_address: bool,
    /// Hidden members are left out of expanded groups.
    pub hidden_members_left_out: bool,
    /// The answer for a group without members that can be shown.
    pub empty_group: Nothing,
    /// The answer for a group that there is not.
    pub unknown_group: Nothing,
    /// The answer for a hidden group.
    pub hidden_group: Nothing,
    /// Most members of one answer; `None` shows all.
    pub member_cap: Option<usize>,
    /// `SearchScope` is unknown to the schema of 2007 without a service pack.
    pub scope_needs_sp1: bool,
    /// Basic is offered.
    pub basic: bool,
    /// NTLM is offered.
    pub ntlm: bool,
    /// Negotiate is offered; NTLM may be spoken under its name.
    pub negotiate: bool,
    /// What the certificate is signed with; looked at when the server starts.
    pub certificate: CertificateSignature,
    /// NTLM must have a check of its messages; otherwise it must be right where it is promised.
    pub mic_required: bool,
    /// After so many wrong passwords in a row an account is refused whatever it says.
    pub lock_out: Option<u32>,
    /// Connections are closed with each 401, as something in between may do: NTLM can never succeed.
    pub closes_on_401: bool,
    /// How much binding to TLS is asked for.
    pub extended_protection: ExtendedProtection,
    /// Calls of one account at a time; `None` asks the version.
    pub concurrency: Option<u32>,
    /// Calls of one account in a time.
    pub budget: Option<Budget>,
    /// How long each call takes.
    pub latency: Duration,
    /// Most lines that the record of requests holds; 0 switches it off.
    pub log_lines: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: Version::SubscriptionEdition,
            version_info: VersionInfo::Own,
            version_refusal: VersionRefusal::InvalidServerVersion,
            cap: 100,
            paging: Paging::Words,
            address_order: AddressOrder::AsStored,
            mail_users_are_contacts: false,
            hidden_by_address: false,
            hidden_members_left_out: false,
            empty_group: Nothing::Empty,
            unknown_group: Nothing::NoResults,
            hidden_group: Nothing::NoResults,
            member_cap: None,
            scope_needs_sp1: false,
            basic: true,
            ntlm: true,
            negotiate: true,
            certificate: CertificateSignature::Sha256,
            mic_required: false,
            lock_out: None,
            closes_on_401: false,
            extended_protection: ExtendedProtection::Allowed,
            concurrency: None,
            budget: None,
            latency: Duration::ZERO,
            log_lines: 10_000,
        }
    }
}
