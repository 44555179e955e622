//! The whole configuration: one customer, its endpoints in order.
//!
//! It knows the tables of the file and in which order they are read; the keys are read by the modules of their tables.

use std::path::Path;

use tenantry::model::{EndpointName, GuardLimits};
use tenantry::{Error, Result};
use toml::de::{DeTable, DeValue};

use crate::customer::{self, Customer};
use crate::endpoint::{self, EndpointConfig};
use crate::environment::{Environment, ProcessEnvironment, reason};
use crate::guard;
use crate::key::{Form, Key, Keys};
use crate::problem::Problems;
use crate::reading::Reading;
use crate::suggestion::nearest;
use crate::table::{Field, Table};

/// A checked `tenant.toml`, its secrets read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TenantConfig {
    /// Who it is for.
    pub customer: Customer,
    /// The endpoints, at least one, in the order of the file: the first has precedence.
    pub endpoints: Vec<EndpointConfig>,
}

/// The tables of the file.
pub(crate) const KEYS: &[Key] = &[
    Key::required("customer", Form::Table(Keys(customer::KEYS)), "Who the configuration is for."),
    Key::required("endpoint", Form::Endpoints, "The directories; the first of two that know a person decides."),
    Key::optional("guard", Form::Table(Keys(guard::KEYS)), "How much one run, and 24 hours, may remove."),
];

impl TenantConfig {
    /// Reads a file, with the variables of this process and the files of this machine.
    ///
    /// It reads small files and blocks while it does.
    ///
    /// # Errors
    /// A configuration error. [`Problems::of`] gives the single problems, if the file could be read at all.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = ProcessEnvironment.read(path).map_err(|error| {
            Error::config(format!("the configuration {}; name the path of a tenant.toml", reason(&error)))
                .with_context("file", path.display())
                .with_source(error)
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
            Error::config("the configuration is not UTF-8; save it as UTF-8 text")
                .with_context("file", path.display())
                .with_context("line", line)
        })?;
        Self::parse(&text, path, &ProcessEnvironment)
    }

    /// Reads the text of a file. Relative paths in it begin at the folder of `file`, which itself is not opened.
    ///
    /// # Errors
    /// A configuration error with all that is wrong; see [`Problems::of`].
    pub fn parse(text: &str, file: impl AsRef<Path>, environment: &dyn Environment) -> Result<Self> {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reading = Reading::new(text, file.as_ref(), environment);
        let (document, mistakes) = DeTable::parse_recoverable(text);
        if !mistakes.is_empty() {
            // Only these: behind a mistake of syntax, keys seem to be missing that are not.
            report_syntax(&mistakes, &mut reading);
            return Err(Problems::into_error(reading.into_problems()));
        }
        let mut root = Table::new(String::new(), 0, document.get_ref(), Keys(KEYS));
        let customer = root
            .require("customer", "write [customer] with a name", &mut reading)
            .and_then(|field| customer::read(field, &mut reading));
        let endpoints = root.require("endpoint", "write [[endpoint]] with name and kind", &mut reading);
        let limits = guard::read(root.take("guard"), GuardLimits::default(), &mut reading);
        let endpoints = endpoints.map(|field| read_endpoints(&field, limits, &mut reading));
        root.finish(&mut reading);
        match (customer, endpoints) {
            (Some(customer), Some(endpoints)) if reading.is_clean() => Ok(Self { customer, endpoints }),
            _ => Err(Problems::into_error(reading.into_problems())),
        }
    }

    /// Returns the endpoint of this name.
    ///
    /// # Errors
    /// A configuration error that names those that exist.
    pub fn endpoint(&self, name: &str) -> Result<&EndpointConfig> {
        let names = || self.endpoints.iter().map(|endpoint| endpoint.name.as_str());
        self.endpoints.iter().find(|endpoint| endpoint.name.as_str() == name).ok_or_else(|| {
            let all = names().collect::<Vec<_>>().join(", ");
            let message = match nearest(name, names()) {
                Some(meant) => format!("no endpoint is named {name:?}; did you mean {meant}? the endpoints are {all}"),
                None => format!("no endpoint is named {name:?}; the endpoints are {all}"),
            };
            Error::config(message)
        })
    }
}

/// Reports mistakes of syntax, the first of each line: others follow from it.
fn report_syntax(mistakes: &[toml::de::Error], reading: &mut Reading<'_>) {
    let mut lines = Vec::new();
    for mistake in mistakes {
        let at = mistake.span().map_or(0, |span| span.start);
        let (line, _) = reading.place(at);
        if lines.contains(&line) {
            continue;
        }
        lines.push(line);
        let remedy = if reading.line_text(at).contains('\\') {
            "in double quotes a backslash begins an escape; write '…' in single quotes"
        } else {
            "correct the syntax of TOML here"
        };
        // The message names what the parser expected; the text that it found stays out, it may be a secret.
        reading.problem(at, "", format!("not valid TOML: {}", mistake.message()), remedy);
    }
}

fn read_endpoints(field: &Field<'_>, guard: GuardLimits, reading: &mut Reading<'_>) -> Vec<EndpointConfig> {
    const REMEDY: &str = "write [[endpoint]], in double brackets, before the keys of each";
    let DeValue::Array(items) = field.value else {
        field.wrong_form("a list of tables", REMEDY, reading);
        return Vec::new();
    };
    if items.is_empty() {
        field.refuse("there is no endpoint", REMEDY, reading);
    }
    let mut endpoints = Vec::new();
    let mut names: Vec<(EndpointName, usize)> = Vec::new();
    for item in items {
        let at = item.span().start;
        let item =
            Field { path: field.path.clone(), at, value: item.get_ref(), form: Form::Table(Keys(endpoint::KEYS)) };
        if let Some(table) = item.table(REMEDY, reading) {
            endpoints.extend(endpoint::read(table, guard, &mut names, reading));
        }
    }
    endpoints
}
