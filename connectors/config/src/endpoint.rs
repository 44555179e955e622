//! One endpoint of a configuration: who it is, what may go, and the settings of its kind.
//!
//! It knows which kinds exist. What the keys of a kind mean is in the module of that kind.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

#[cfg(any(feature = "office365", feature = "gsuite"))]
use tenantry::IdListing;
use tenantry::model::{AttributeName, EndpointName, GuardLimits};
use tenantry::{Endpoint, EndpointInfo, ImportOptions, Result};
#[cfg(feature = "active-directory")]
use tenantry_active_directory::ActiveDirectory;
#[cfg(feature = "gsuite")]
use tenantry_gsuite::Gsuite;
#[cfg(feature = "office365")]
use tenantry_office365::Office365;

#[cfg(feature = "active-directory")]
use crate::active_directory::{self, ActiveDirectorySettings};
#[cfg(any(feature = "active-directory", feature = "exchange"))]
use crate::domain;
#[cfg(feature = "exchange")]
use crate::exchange::{self, ExchangeSettings};
#[cfg(feature = "gsuite")]
use crate::gsuite::{self, GsuiteSettings};
use crate::guard;
#[cfg(any(feature = "exchange", feature = "gsuite", feature = "office365"))]
use crate::http;
use crate::key::{Form, Key, Keys};
#[cfg(feature = "office365")]
use crate::office365::{self, Office365Settings};
use crate::reading::Reading;
use crate::suggestion::nearest;
use crate::table::{Field, Table};
use crate::yields;

/// What an endpoint connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointKind {
    /// An Active Directory domain.
    ActiveDirectory,
    /// An Exchange server.
    Exchange,
    /// A Google Workspace.
    Gsuite,
    /// A Microsoft 365 tenant.
    Office365,
}

impl EndpointKind {
    /// Every kind that a configuration may name, also those that this program cannot connect to.
    pub const ALL: [Self; 4] = [Self::ActiveDirectory, Self::Exchange, Self::Gsuite, Self::Office365];

    /// Returns the kind as the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "active-directory",
            Self::Exchange => "exchange",
            Self::Gsuite => "gsuite",
            Self::Office365 => "office365",
        }
    }

    /// Tells why this program cannot connect to endpoints of this kind; none if it can.
    fn obstacle(self) -> Option<(String, String)> {
        match self {
            Self::ActiveDirectory if cfg!(feature = "active-directory") => None,
            Self::Exchange if cfg!(feature = "exchange") => None,
            Self::Gsuite if cfg!(feature = "gsuite") => None,
            Self::Office365 if cfg!(feature = "office365") => None,
            Self::ActiveDirectory | Self::Exchange | Self::Gsuite | Self::Office365 => Some((
                format!("this program was built without the connector for {self}"),
                format!("build it with the feature {self}, or remove this endpoint"),
            )),
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What only endpoints of one kind have.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EndpointSettings {
    /// Those of an Active Directory.
    #[cfg(feature = "active-directory")]
    ActiveDirectory(Box<ActiveDirectorySettings>),
    /// Those of an Exchange organisation.
    #[cfg(feature = "exchange")]
    Exchange(Box<ExchangeSettings>),
    /// Those of a Google Workspace account.
    #[cfg(feature = "gsuite")]
    Gsuite(Box<GsuiteSettings>),
    /// Those of a Microsoft 365 tenant.
    #[cfg(feature = "office365")]
    Office365(Box<Office365Settings>),
}

/// One endpoint, checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The immutable key.
    pub name: EndpointName,
    /// Shown to people; names the endpoint's own group.
    pub title: String,
    /// What it connects to.
    pub kind: EndpointKind,
    /// How much one run, and 24 hours, may remove.
    pub guard: GuardLimits,
    /// The attributes that it leaves to local editors.
    pub yields: BTreeSet<AttributeName>,
    /// What only its kind has.
    pub settings: EndpointSettings,
    /// The line in which its table begins.
    pub line: usize,
}

impl EndpointConfig {
    /// Returns who the endpoint is.
    pub fn info(&self) -> EndpointInfo {
        EndpointInfo::new(self.name.clone(), self.kind.as_str()).with_title(self.title.as_str())
    }

    /// Returns how its imports are to be made: what may go, and when all ids are listed.
    pub fn import_options(&self) -> ImportOptions {
        let id_listing = match self.settings {
            #[cfg(feature = "active-directory")]
            EndpointSettings::ActiveDirectory(ref settings) => settings.domain.id_listing,
            #[cfg(feature = "exchange")]
            EndpointSettings::Exchange(ref settings) => settings.id_listing(),
            #[cfg(feature = "gsuite")]
            EndpointSettings::Gsuite(_) => IdListing::Auto,
            #[cfg(feature = "office365")]
            EndpointSettings::Office365(_) => IdListing::Auto,
        };
        ImportOptions { guard: self.guard, id_listing, ..ImportOptions::default() }
    }

    /// Creates the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// A configuration error, if the connector refuses what the checks of the file have passed; with the endpoint's line.
    pub fn build(&self) -> Result<Arc<dyn Endpoint>> {
        match self.settings {
            #[cfg(feature = "active-directory")]
            EndpointSettings::ActiveDirectory(ref settings) => {
                let endpoint = ActiveDirectory::new(self.info(), settings.as_ref().into());
                Ok(Arc::new(endpoint.map_err(|error| error.with_context("line", self.line))?))
            }
            #[cfg(feature = "exchange")]
            EndpointSettings::Exchange(ref settings) => {
                settings.build(self.info()).map_err(|error| error.with_context("line", self.line))
            }
            #[cfg(feature = "gsuite")]
            EndpointSettings::Gsuite(ref settings) => {
                let endpoint = Gsuite::new(self.info(), settings.as_ref().into());
                Ok(Arc::new(endpoint.map_err(|error| error.with_context("line", self.line))?))
            }
            #[cfg(feature = "office365")]
            EndpointSettings::Office365(ref settings) => {
                let endpoint = Office365::new(self.info(), settings.as_ref().into());
                Ok(Arc::new(endpoint.map_err(|error| error.with_context("line", self.line))?))
            }
        }
    }
}

/// The keys of endpoints of every kind.
pub(crate) const KEYS: &[Key] = &[
    Key::required("name", Form::Name, "The key of the endpoint; it must never change."),
    Key::optional("title", Form::Text, "Shown to people; also the name of the group of everyone imported here."),
    Key::optional("guard", Form::Table(Keys(guard::KEYS)), "Limits of this endpoint over those of [guard]."),
    Key::optional("yields", Form::Texts, "Attributes that it leaves to local editors; their values survive imports."),
    Key::required("kind", Form::Kind, "What it connects to."),
];

/// Lists of keys that belong together.
pub(crate) type KeySets = &'static [&'static [Key]];

/// Returns the keys that only endpoints of this kind have, for each way in which such an endpoint may be written; none if
/// this program cannot connect to them.
pub(crate) fn keys_of(kind: EndpointKind) -> &'static [KeySets] {
    match kind {
        #[cfg(feature = "active-directory")]
        EndpointKind::ActiveDirectory => &[&[domain::KEYS, active_directory::KEYS]],
        #[cfg(feature = "exchange")]
        EndpointKind::Exchange => &[&[exchange::LDAP, domain::KEYS], &[exchange::EWS, exchange::EWS_KEYS, http::KEYS]],
        #[cfg(feature = "gsuite")]
        EndpointKind::Gsuite => &[&[gsuite::KEYS, http::KEYS]],
        #[cfg(feature = "office365")]
        EndpointKind::Office365 => &[&[office365::KEYS, http::KEYS]],
        #[allow(unreachable_patterns, reason = "a connector may be left out")]
        _ => &[],
    }
}

/// Reads one `[[endpoint]]`; `earlier` are the names before it with their lines.
pub(crate) fn read(
    mut table: Table<'_>,
    guard: GuardLimits,
    earlier: &mut Vec<(EndpointName, usize)>,
    reading: &mut Reading<'_>,
) -> Option<EndpointConfig> {
    let (line, _) = reading.place(table.at());
    let name = table
        .require("name", r#"write name = "…", a short key that never changes"#, reading)
        .and_then(|field| read_name(&field, earlier, reading));
    let title = table.take("title");
    let title = title.map(|field| field.text(reading));
    let guard = guard::read(table.take("guard"), guard, reading);
    let yields = yields::read(table.take("yields"), reading);
    let kind = table
        .require("kind", &format!("write kind = \"…\", one of {}", all_kinds()), reading)
        .and_then(|field| read_kind(&field, reading));
    // Without a kind nobody can say which keys are right.
    let settings = read_settings(kind?, table, reading);
    let name = name?;
    let title = match title {
        Some(title) => title?.to_owned(),
        None => name.as_str().to_owned(),
    };
    Some(EndpointConfig { name, title, kind: kind?, guard, yields: yields?, settings: settings?, line })
}

fn read_settings(kind: EndpointKind, mut table: Table<'_>, reading: &mut Reading<'_>) -> Option<EndpointSettings> {
    // Where there are several ways, the reading of the kind finds out which one it is.
    if let [keys] = keys_of(kind) {
        keys.iter().for_each(|keys| table.extend(keys));
    }
    match kind {
        #[cfg(feature = "active-directory")]
        EndpointKind::ActiveDirectory => {
            active_directory::read(table, reading).map(|settings| EndpointSettings::ActiveDirectory(Box::new(settings)))
        }
        #[cfg(feature = "exchange")]
        EndpointKind::Exchange => {
            exchange::read(table, reading).map(|settings| EndpointSettings::Exchange(Box::new(settings)))
        }
        #[cfg(feature = "gsuite")]
        EndpointKind::Gsuite => {
            gsuite::read(table, reading).map(|settings| EndpointSettings::Gsuite(Box::new(settings)))
        }
        #[cfg(feature = "office365")]
        EndpointKind::Office365 => {
            office365::read(table, reading).map(|settings| EndpointSettings::Office365(Box::new(settings)))
        }
        #[allow(unreachable_patterns, reason = "a connector may be left out")]
        // Refused by its name already; nothing is said of its other keys.
        _ => {
            let _ = (table, reading);
            None
        }
    }
}

fn read_name(
    field: &Field<'_>,
    earlier: &mut Vec<(EndpointName, usize)>,
    reading: &mut Reading<'_>,
) -> Option<EndpointName> {
    let name = match EndpointName::new(field.text(reading)?) {
        Ok(name) => name,
        Err(error) => {
            field.refuse(error.message().to_owned(), r#"write it like "ad""#, reading);
            return None;
        }
    };
    // Names end up in names of files, where case may not count.
    if let Some((_, line)) = earlier.iter().find(|(other, _)| other.as_str().eq_ignore_ascii_case(name.as_str())) {
        let message = format!("this name is taken by the endpoint in line {line}");
        field.refuse(message, "give each endpoint a name of its own; case does not count", reading);
        return None;
    }
    earlier.push((name.clone(), reading.place(field.at).0));
    Some(name)
}

fn read_kind(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<EndpointKind> {
    let text = field.text(reading)?;
    let Some(kind) = EndpointKind::ALL.into_iter().find(|kind| kind.as_str() == text) else {
        let remedy = match nearest(text, EndpointKind::ALL.map(EndpointKind::as_str)) {
            Some(meant) => format!("did you mean {meant}? the known kinds are {}", all_kinds()),
            None => format!("the known kinds are {}", all_kinds()),
        };
        field.refuse("unknown kind", remedy, reading);
        return None;
    };
    if let Some((message, remedy)) = kind.obstacle() {
        field.refuse(message, remedy, reading);
        return None;
    }
    Some(kind)
}

fn all_kinds() -> String {
    EndpointKind::ALL.map(EndpointKind::as_str).join(", ")
}

#[cfg(all(test, not(feature = "active-directory")))]
mod tests {
    use crate::{Problems, ProcessEnvironment, TenantConfig};

    #[test]
    fn a_connector_that_was_left_out_is_told_with_the_way_to_have_it() {
        let text = "[customer]\nname = \"x\"\n[[endpoint]]\nname = \"ad\"\nkind = \"active-directory\"\nurl = 1\n";
        let error = TenantConfig::parse(text, "tenant.toml", &ProcessEnvironment).unwrap_err();
        let [problem] = Problems::of(&error).unwrap().as_slice() else { panic!("not one problem: {error:?}") };
        assert_eq!((problem.line, problem.key.as_str()), (5, "endpoint.kind"));
        assert!(problem.message.contains("built without the connector for active-directory"), "{problem}");
        assert!(problem.remedy.contains("feature active-directory"), "{problem}");
    }
}
