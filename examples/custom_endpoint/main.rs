//! Imports the directory of a file, or a sample of one, through the connector of `custom_endpoint.rs`. It does not know how
//! the file is read.

use std::path::PathBuf;
use std::sync::Arc;

use tenantry::model::CustomerId;
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

#[path = "../custom_endpoint.rs"]
#[allow(clippy::wildcard_imports, reason = "nearly all of the two modules is used")]
mod custom_endpoint;

use custom_endpoint::FileEndpoint;

const SAMPLE: &str = r#"{ "directory": "0b6c1d4e-3f52-4c7a-9d8e-112233445566", "objects": {
    "1": { "kind": "user", "unit": "pit", "name": "Ada Lindqvist", "mail": "ada@mining88.example" },
    "2": { "kind": "user", "unit": "pit", "name": "Noor Haddad" },
    "3": { "kind": "group", "unit": "pit", "name": "Night shift", "members": ["1", "2"] },
    "4": { "kind": "computer", "unit": "pit", "name": "pc-4" } } }"#;

/// Imports a file, or a sample, and shows what there is then.
#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "an example for the command line")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let sample = folder.path().join("directory.json");
    std::fs::write(&sample, SAMPLE)?;
    let path = std::env::args_os().nth(1).map_or(sample, PathBuf::from);
    let endpoint: Arc<dyn Endpoint> = Arc::new(FileEndpoint::new("file", path, "pit")?);
    let (customer, name) = (CustomerId::new("mining88")?, endpoint.info().name.clone());
    let service = Service::new(Arc::new(SqliteStore::open(folder.path().join("state.db"))?));
    service.register(Customer::new(customer.clone()), vec![endpoint]).await?;
    let report = service.import(&customer, &name, ImportOptions::default()).await?.into_result()?;
    println!("{}: {} created, {} memberships", report.endpoint, report.created, report.members_added);
    for event in service.consumer(&customer, "example").next(100).await? {
        println!("{} {}", event.event_type.as_str(), event.data.get());
    }
    Ok(())
}
