//! Prints the JSON schema of `tenant.toml`: `cargo run -p tenantry-config --example schema > docs/tenant.schema.json`.
//!
//! It must not add anything: what it prints is what the library says.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

fn main() {
    println!("{:#}", tenantry_config::schema());
}
