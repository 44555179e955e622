//! Which domain controller answers, and which domain it holds. It must not know what is imported from it.

use crate::{Control, Dn, Entry, Session, Sid, filetime, generalized_time};
use tenantry::{Error, Result};
use uuid::Uuid;

use crate::domain::cursor::Position;
use crate::domain::error::not_synchronised;

/// What tells at which point the database is.
pub(crate) const NOW: &[&str] = &["highestCommittedUSN", "currentTime"];

const READ_ONLY: &str = "1.2.840.113556.1.4.1920";

/// What has to be known of a domain to understand its objects.
#[derive(Debug, Clone)]
pub struct DomainHead {
    /// The domain's own name.
    pub dn: Dn,
    /// Its security id, which begins those of its accounts; `None` if it may not be read.
    pub sid: Option<Sid>,
    /// How long a lock-out lasts; `None` if it may not be read.
    pub lockout: Option<filetime::Interval>,
}

/// A domain controller as it describes itself.
#[derive(Debug, Clone)]
pub struct Controller {
    /// Its database when the session was opened.
    pub(crate) position: Position,
    /// The domain's naming context, as the controller writes it.
    pub(crate) domain: String,
    /// What objects are read by.
    pub(crate) head: DomainHead,
    /// The domain's own id: never changes.
    pub(crate) domain_id: Uuid,
    /// How long a password lasts, unless a policy of its own says otherwise.
    pub(crate) password_age: Option<filetime::Interval>,
    /// The naming context of the forest's settings.
    pub(crate) configuration: String,
    /// Functional level of the domain; `None` if it does not tell.
    pub(crate) level: Option<i64>,
    pub(crate) read_only: bool,
    controls: Vec<String>,
}

impl Controller {
    /// Reads who answers: three small searches.
    pub(crate) async fn read(session: &Session) -> Result<Self> {
        let root = session
            .root_dse(&[
                "defaultNamingContext",
                "configurationNamingContext",
                "dsServiceName",
                "dnsHostName",
                "highestCommittedUSN",
                "currentTime",
                "isSynchronized",
                "domainFunctionality",
                "supportedControl",
                "supportedCapabilities",
            ])
            .await?;
        if root.flag("isSynchronized")? == Some(false) {
            return Err(not_synchronised());
        }
        let domain = required(&root, "defaultNamingContext")?.to_owned();
        let service = required(&root, "dsServiceName")?.to_owned();
        let settings = session.search_base(&service, &["invocationId"], &[]).await?;
        let invocation = match settings {
            Some(settings) => settings.guid("invocationId")?,
            None => None,
        };
        let invocation = invocation.ok_or_else(|| {
            Error::config(
                "the account cannot read which database the domain controller has; let it read its settings object",
            )
            .with_context("attribute", "invocationId")
        })?;
        let head =
            session.search_base(&domain, &["objectGUID", "objectSid", "lockoutDuration", "maxPwdAge"], &[]).await?;
        let head = head.ok_or_else(|| Error::config("the account cannot read the domain object; let it read it"))?;
        let domain_id = head.guid("objectGUID")?;
        let policy = policy(&head)?;
        let [lockout, password_age] = policy.map(|ticks| ticks.map(filetime::interval).transpose());
        Ok(Self {
            position: Position {
                server: root.text("dnsHostName")?.unwrap_or_default().to_owned(),
                service,
                invocation,
                usn: highest_usn(&root)?,
                time: current_time(&root)?,
                policy,
            },
            head: DomainHead { dn: Dn::parse(&domain)?, sid: head.sid("objectSid")?, lockout: lockout? },
            domain,
            domain_id: domain_id.ok_or_else(|| Error::config("the account cannot read the id of the domain object"))?,
            password_age: password_age?,
            configuration: required(&root, "configurationNamingContext")?.to_owned(),
            level: root.i64("domainFunctionality")?,
            read_only: root.texts("supportedCapabilities")?.contains(&READ_ONLY),
            controls: root.texts("supportedControl")?.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Returns its database as it is now, from its own entry with the attributes [`NOW`].
    pub(crate) fn now(&self, root: &Entry) -> Result<Position> {
        Ok(Position { usn: highest_usn(root)?, time: current_time(root)?, ..self.position.clone() })
    }

    /// Returns its DNS name.
    pub fn server(&self) -> &str {
        &self.position.server
    }

    /// Returns the id of its database: nothing that belongs together may come from another one.
    pub fn database(&self) -> Uuid {
        self.position.invocation
    }

    /// Returns the domain's naming context, as the controller writes it.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns what objects are read by.
    pub fn head(&self) -> &DomainHead {
        &self.head
    }

    /// Returns the naming context of the forest's settings.
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Tells whether it takes no changes, and keeps some attributes from everybody.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns the domain's DNS name.
    pub fn dns_name(&self) -> String {
        let labels: Vec<_> = self.head.dn.rdns().iter().filter_map(|rdn| rdn.value()).collect();
        labels.join(".")
    }

    /// Returns the control that shows deleted objects, recycled ones too where the controller knows that word.
    pub fn show_deleted(&self) -> Control {
        let recycled = Control::show_recycled();
        if self.controls.iter().any(|oid| oid == recycled.oid()) { recycled } else { Control::show_deleted() }
    }
}

/// Reads what the domain's head says of how long a lock-out and a password last.
pub(crate) fn policy(head: &Entry) -> Result<[Option<i64>; 2]> {
    Ok([head.i64("lockoutDuration")?, head.i64("maxPwdAge")?])
}

/// Reads the controller's own time: what it keeps only so long is measured by it.
fn current_time(root: &Entry) -> Result<i64> {
    generalized_time::to_unix_millis(required(root, "currentTime")?)
}

/// Reads the highest committed number of a change.
fn highest_usn(root: &Entry) -> Result<u64> {
    required(root, "highestCommittedUSN")?
        .parse()
        .map_err(|_| Error::protocol("the highest committed number of a change is no number"))
}

fn required<'a>(root: &'a Entry, attribute: &'static str) -> Result<&'a str> {
    root.text(attribute)?.ok_or_else(|| {
        Error::config("the server is no Active Directory domain controller; correct url")
            .with_context("lacks", attribute)
    })
}
