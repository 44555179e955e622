//! The endpoint: what the engine asks, handed to the reader of the domain.
//!
//! It must not know any attribute's meaning.

use async_trait::async_trait;
use tenantry::endpoint::{
    Checkpoint, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, Membership, ObjectRef, Presence, SnapshotPager,
    Verification,
};
use tenantry::model::{ObjectKind, SourceId};
use tenantry::{Context, Endpoint, EndpointInfo, Error, Result, Secret};
use tenantry_ldap::domain::error::setting;
use tenantry_ldap::domain::{Class, Domain, DomainConfig};

use super::organisation::Organisation;
use super::profile::Recipients;

/// How to reach the domain of an Exchange organisation, and which of its recipients come in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LdapConfig {
    /// The domain, the account, and what is selected. It has no computers.
    pub domain: DomainConfig,
}

impl LdapConfig {
    /// Creates settings for one domain controller, with everything else as by default.
    pub fn new(url: impl Into<String>, bind: impl Into<String>, password: Secret) -> Self {
        DomainConfig::new(url, bind, password).into()
    }
}

impl From<DomainConfig> for LdapConfig {
    fn from(domain: DomainConfig) -> Self {
        Self { domain }
    }
}

/// The recipients of an Exchange organisation, as the domain holds them: Exchange 2003 and later.
///
/// It sees what no address book shows: hidden recipients, disabled accounts, every address, and the id that never changes.
/// It needs no more than an account of the domain that may read.
#[derive(Debug)]
pub struct Ldap {
    info: EndpointInfo,
    domain: Domain,
}

impl Ldap {
    /// How the configuration spells this kind of endpoint.
    pub const KIND: &'static str = "exchange";

    /// Checks the settings and creates the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// `Config` with the `key` that is wrong and what to do about it.
    pub fn new(info: EndpointInfo, config: LdapConfig) -> Result<Self> {
        if info.kind != Self::KIND {
            return Err(Error::config("this endpoint is not of kind exchange").with_context("kind", info.kind));
        }
        let named = |error: Error| error.with_context("endpoint", &info.name);
        if config.domain.computers.is_some() {
            return Err(named(setting("computers", "an Exchange organisation has no computers; leave the key out")));
        }
        let domain = Domain::new(config.domain, Recipients).map_err(named)?;
        Ok(Self { info, domain })
    }

    /// Names the attributes that a listing of this kind asks for: those that the account has to be able to read.
    #[must_use]
    pub fn attributes_read(kind: ObjectKind) -> Vec<&'static str> {
        match kind {
            ObjectKind::Computer => Vec::new(),
            kind => Domain::attributes_read(&Recipients, Class::of(kind)),
        }
    }

    fn named(&self, error: Error) -> Error {
        error.with_context("endpoint", &self.info.name)
    }

    async fn check(&self, cx: &Context) -> Result<Verification> {
        let mut verification = self.domain.verify(cx).await?;
        let connection = self.domain.connection();
        let controller = connection.controller(cx).await?;
        let organisation = Organisation::read(connection, cx, &controller).await?;
        let described = match (&organisation.name, organisation.versions.as_slice()) {
            (None, _) => "no Exchange organisation to be seen".to_owned(),
            (Some(name), []) => format!("Exchange organisation {name}"),
            (Some(name), versions) => format!("Exchange organisation {name}, {}", versions.join(", ")),
        };
        verification.server = format!("{}; {described}", verification.server);
        let granted = |name: &str| verification.rights.iter().any(|right| right.granted && right.name == name);
        let mut sentences = Vec::new();
        if !granted("read mailNickname") {
            let text = "No object shows an alias: there are no recipients in this domain, or the account may not read \
                        mailNickname. Name a domain controller of the domain that holds them.";
            sentences.push(text.to_owned());
        } else if !granted("read msExchRecipientTypeDetails") {
            let text = "No recipient shows a type, as with Exchange 2003: rooms cannot be told from shared mailboxes. If a \
                        later version is in use, let the account read msExchRecipientTypeDetails.";
            sentences.push(text.to_owned());
        }
        sentences.extend(NOT_SEEN.iter().map(|text| (*text).to_owned()));
        verification.not_seen.extend(sentences);
        Ok(verification)
    }
}

/// What this route does not see, whatever its rights; and what the other one would.
const NOT_SEEN: &[&str] = &[
    "This route reads the directory, so that hidden recipients, disabled accounts and all addresses are seen; the route ews \
     sees only what the address book of its mailbox shows.",
    "Members of dynamic distribution groups are computed when mail is sent: they are unknown.",
    "Mailboxes of Exchange itself (system, arbitration, discovery, health, audit), public folders and role groups are not \
     imported.",
    "Members by primary group are not told: Exchange delivers to none of them.",
    "The contents, sizes and sign-ins of mailboxes are not in the directory.",
    "For linked mailboxes the account that works with them lies in another forest: whether it is disabled is not seen.",
];

#[async_trait]
impl Endpoint for Ldap {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        self.domain.coverage(cx).await.map_err(|error| self.named(error))
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        self.check(cx).await.map_err(|error| self.named(error))
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        self.domain.snapshot(cx, from).await.map_err(|error| self.named(error))
    }

    /// Lists without attributes and members: far less than a snapshot.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        self.domain.id_listing(cx).await.map_err(|error| self.named(error))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        self.domain.lookup(cx, ids).await.map_err(|error| self.named(error))
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        self.domain.check_members(cx, group, members).await.map_err(|error| self.named(error))
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        self.domain.has_deltas().then_some(self)
    }
}

#[async_trait]
impl DeltaEndpoint for Ldap {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        self.domain.delta(cx, since).await.map_err(|error| self.named(error))
    }

    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        Domain::tells_removals(coverage)
    }
}
