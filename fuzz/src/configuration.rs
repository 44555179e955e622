//! Any text is a configuration or has problems, each in a place; what is accepted fits the schema and tells no secret.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use tenantry_config::{Environment, Problems, TenantConfig};

use crate::text;

#[path = "../../connectors/config/tests/it/fitting.rs"]
mod fitting;

/// What every variable holds, and every file that is no certificate.
const SECRET: &str = "k4n4ri-Vogel";
/// An authority's certificate; the key was thrown away.
const AUTHORITY: &str = include_str!("ca.pem");

static SCHEMA: LazyLock<Value> = LazyLock::new(tenantry_config::schema);

/// Every variable is set, and every file is there.
struct Everything;

impl Environment for Everything {
    fn variable(&self, _: &str) -> Option<OsString> {
        Some(SECRET.into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let is_certificate = path.extension().is_some_and(|extension| extension == "pem");
        Ok(if is_certificate { AUTHORITY } else { SECRET }.into())
    }
}

/// See the module.
pub fn configuration(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match TenantConfig::parse(text, "conf/tenant.toml", &Everything) {
        Ok(config) => {
            assert!(!config.endpoints.is_empty());
            assert!(!format!("{config:?}").contains(SECRET) || text.contains(SECRET));
            assert_eq!(fitting::misfit_of(text, &SCHEMA), None);
            for endpoint in &config.endpoints {
                endpoint.build().expect("what is accepted can be built");
            }
        }
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(!told.contains(SECRET) || text.contains(SECRET), "{told}");
            let lines = text.matches('\n').count() + 1;
            let problems = Problems::of(&error).expect("a refusal has problems");
            assert!(!problems.as_slice().is_empty());
            for problem in problems.as_slice() {
                assert!(problem.line >= 1 && problem.line <= lines && problem.column >= 1);
                assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }
}
