//! Variables and files that exist in a test only, and short ways to a configuration and its problems.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tenantry::{ErrorKind, Result};
use tenantry_config::{
    ActiveDirectorySettings, EndpointSettings, Environment, GsuiteSettings, Office365Settings, Problem, Problems,
    TenantConfig,
};

/// What every secret of these tests is, so that it can be looked for where it must not be.
pub(crate) const CANARY: &str = "k4n4ri-Vogel";

/// A certificate authority that nobody has the key of.
pub(crate) const CA_PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBUDCB96ADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCmNhLmV4YW1w
bGUwIBcNMjUwMTAxMDAwMDAwWhgPMjEyNTAxMDEwMDAwMDBaMBUxEzARBgNVBAMM
CmNhLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ=
-----END CERTIFICATE-----
";

/// A certificate of an application, and its key. Nobody signs in with them.
pub(crate) const GRAPH_PEM: &str = include_str!("../../../office365/tests/keys/certificate.pem");
pub(crate) const GRAPH_KEY: &str = include_str!("../../../office365/tests/keys/key-pkcs8.pem");

/// A service account's key file. Its private key was made for this and opens nothing.
pub(crate) fn google_key() -> String {
    serde_json::json!({
        "type": "service_account",
        "project_id": "mining88",
        "private_key_id": "0123456789abcdef",
        "private_key": GRAPH_KEY,
        "client_email": "sync@mining88.example",
        "token_uri": "https://sign-in.example/token",
    })
    .to_string()
}

#[derive(Default)]
pub(crate) struct FakeEnvironment {
    pub(crate) variables: BTreeMap<&'static str, OsString>,
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
}

impl FakeEnvironment {
    /// The variables and files that a correct configuration of these tests names.
    pub(crate) fn complete() -> Self {
        let mut environment = Self::default();
        environment.variables.insert("AD_PASSWORD", CANARY.into());
        environment.files.insert("conf/ad.secret".into(), format!("{CANARY}\n").into_bytes());
        environment.files.insert("conf/ca.pem".into(), CA_PEM.into());
        environment.variables.insert("GRAPH_SECRET", CANARY.into());
        environment.files.insert("conf/graph.pem".into(), GRAPH_PEM.into());
        environment.files.insert("conf/graph.key".into(), GRAPH_KEY.into());
        environment.files.insert("conf/google.json".into(), google_key().into());
        environment
    }
}

impl Environment for FakeEnvironment {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.ends_with("forbidden") {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The shortest configuration; tests put lines behind it.
pub(crate) const MINIMAL: &str = r#"[customer]
name = "Mining 88"
[[endpoint]]
name = "ad"
kind = "active-directory"
url = "ldaps://dc1.mining88.example"
bind = "sync@mining88.example"
password = { env = "AD_PASSWORD" }
"#;

/// The line of the first text put behind [`MINIMAL`].
pub(crate) const NEXT: usize = 9;

pub(crate) fn parse(text: &str) -> Result<TenantConfig> {
    TenantConfig::parse(text, "conf/tenant.toml", &FakeEnvironment::complete())
}

/// The shortest configuration with an Exchange organisation that is read from its domain.
pub(crate) const MAIL: &str = r#"[customer]
name = "Mining 88"
[[endpoint]]
name = "mail"
kind = "exchange"
route = "ldap"
url = "ldaps://dc1.mining88.example"
bind = "sync@mining88.example"
password = { env = "AD_PASSWORD" }
"#;

/// The shortest configuration with one that is read through Exchange Web Services.
pub(crate) const WEB_MAIL: &str = r#"[customer]
name = "Mining 88"
[[endpoint]]
name = "mail"
kind = "exchange"
route = "ews"
url = "https://mail.mining88.example/EWS/Exchange.asmx"
user = 'MINING88\sync'
password = { env = "AD_PASSWORD" }
"#;

/// The shortest configuration with a Microsoft 365 tenant.
pub(crate) const CLOUD: &str = r#"[customer]
name = "Mining 88"
[[endpoint]]
name = "cloud"
kind = "office365"
tenant = "mining88.example"
client_id = "00000000-1111-2222-3333-444444444444"
client_secret = { env = "GRAPH_SECRET" }
"#;

/// Parses [`CLOUD`] with more lines and returns the settings of its only endpoint.
pub(crate) fn cloud(more: &str) -> Office365Settings {
    let config = parse(&format!("{CLOUD}{more}")).expect("a right configuration");
    let EndpointSettings::Office365(settings) = config.endpoints[0].settings.clone() else { panic!("another kind") };
    *settings
}

/// The shortest configuration with a Google Workspace account.
pub(crate) const GOOGLE: &str = r#"[customer]
name = "Mining 88"
[[endpoint]]
name = "google"
kind = "gsuite"
key_file = "google.json"
admin = "admin@mining88.example"
"#;

/// Parses [`GOOGLE`] with more lines and returns the settings of its only endpoint.
pub(crate) fn google(more: &str) -> GsuiteSettings {
    let config = parse(&format!("{GOOGLE}{more}")).expect("a right configuration");
    let EndpointSettings::Gsuite(settings) = config.endpoints[0].settings.clone() else { panic!("another kind") };
    *settings
}

/// Parses [`MINIMAL`] with more lines and returns the settings of its only endpoint.
pub(crate) fn settings(more: &str) -> ActiveDirectorySettings {
    only_settings(&format!("{MINIMAL}{more}"))
}

/// Returns the settings of the first endpoint.
pub(crate) fn only_settings(text: &str) -> ActiveDirectorySettings {
    let config = parse(text).expect("a right configuration");
    let EndpointSettings::ActiveDirectory(settings) = config.endpoints[0].settings.clone() else {
        panic!("another kind")
    };
    *settings
}

/// Returns all problems of a text that must have some.
pub(crate) fn problems(text: &str) -> Vec<Problem> {
    problems_in(text, &FakeEnvironment::complete())
}

pub(crate) fn problems_in(text: &str, environment: &FakeEnvironment) -> Vec<Problem> {
    let error = TenantConfig::parse(text, "conf/tenant.toml", environment).expect_err("it was accepted");
    assert_eq!(*error.kind(), ErrorKind::Config);
    assert!(!error.to_string().contains('\n'), "{error}");
    assert!(!format!("{error} {error:?}").contains(CANARY), "a secret is told: {error}");
    let problems = Problems::of(&error).expect("a refusal has problems").as_slice().to_vec();
    for problem in &problems {
        assert!(!problem.remedy.is_empty() && !problem.message.is_empty() && problem.line > 0 && problem.column > 0);
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    problems
}

/// Asserts that a text has one problem: its line, its key, and words of what is said.
#[track_caller]
pub(crate) fn assert_problem(text: &str, line: usize, key: &str, words: &[&str]) {
    let problems = problems(text);
    let [problem] = problems.as_slice() else { panic!("not one problem: {problems:#?}") };
    assert_eq!((problem.line, problem.key.as_str()), (line, key), "{problem}");
    let told = problem.to_string();
    for word in words {
        assert!(told.contains(word), "{word:?} is missing in {told:?}");
    }
}

/// Asserts one problem in the first line behind [`MINIMAL`].
#[track_caller]
pub(crate) fn assert_next(line: &str, key: &str, words: &[&str]) {
    assert_problem(&format!("{MINIMAL}{line}\n"), NEXT, key, words);
}

/// Replaces one line of [`MINIMAL`].
pub(crate) fn replaced(key: &str, line: &str) -> String {
    let lines = MINIMAL.lines().map(|old| if old.starts_with(key) { line } else { old });
    lines.flat_map(|line| [line, "\n"]).collect()
}
