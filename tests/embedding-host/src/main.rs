//! A service that imports people into a table of its own; it shows how little a host has to know of tenantry.
//!
//! `embedding-host tenant.toml` listens on `127.0.0.1:8088`, or on `LISTEN`:
//!
//! - `POST /imports/ad` starts an import in the background and answers at once;
//! - `GET /imports/ad` tells how far it is, or how it ended;
//! - `GET /events?after=0` reads events, as any number of other services may;
//! - `GET /people` reads the host's own table, which follows the events.

mod imports;
mod people;
mod routes;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tenantry::{Customer, Service, SqliteStore};
use tenantry_config::TenantConfig;
use tokio_util::sync::CancellationToken;

use crate::imports::Imports;
use crate::people::People;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: embedding-host tenant.toml")?);
    let listen: SocketAddr = std::env::var("LISTEN").as_deref().unwrap_or("127.0.0.1:8088").parse()?;
    let tenant = TenantConfig::load(&file)?;

    let service = Service::new(Arc::new(SqliteStore::open(file.with_file_name("tenant.db"))?));
    let customer = Customer {
        id: tenant.customer.id.clone(),
        name: tenant.customer.name.clone(),
        domains: tenant.customer.domains.clone(),
    };
    let endpoints = tenant.endpoints.iter().map(|endpoint| endpoint.build()).collect::<Result<Vec<_>, _>>()?;
    service.register(customer, endpoints).await?;

    let people = People::open(&file.with_file_name("people.db")).await?;
    let stop = CancellationToken::new();
    let follower = tokio::spawn(people.clone().follow(service.clone(), tenant.customer.id.clone(), stop.clone()));

    let imports = Arc::new(Imports::new(service, tenant));
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes::router(imports.clone(), people))
        .with_graceful_shutdown(async {
            // Without a way to be told, it runs until it is killed: an import survives that as well.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    imports.cancel_all();
    stop.cancel();
    follower.await?;
    Ok(())
}
