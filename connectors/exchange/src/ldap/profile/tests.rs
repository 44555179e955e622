//! Entries as controllers give them, each with what has to come of it: `fixtures/exchange/<case>/`.

use std::path::Path;

use tenantry_ldap::domain::fixtures;

use super::*;

#[test]
fn every_fixture_becomes_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/exchange");
    fixtures::check(&Recipients, &root, 59);
}
