//! Whose a new user is, by the verified web domains of all customers.

use std::sync::Arc;

use tenantry::model::{Assignment, CustomerId};
use tenantry::{Customer, ErrorKind, Service, SqliteStore};

use crate::world::folder;

fn id(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

async fn register(service: &Service, name: &str, domains: &[&str]) -> tenantry::Result<()> {
    let mut customer = Customer::new(id(name));
    customer.domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    service.register(customer, Vec::new()).await
}

#[tokio::test]
async fn an_address_belongs_to_the_customer_whose_domain_it_is_in_unless_somebody_said_otherwise() {
    let folder = folder();
    let service = Service::new(Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap()));
    let directory = service.directory();
    register(&service, "north", &["Corp.example", "shared.example"]).await.unwrap();
    register(&service, "south", &["south.corp.example", "shared.example"]).await.unwrap();
    let by = |name, domain: &str| Assignment::ByDomain(id(name), domain.into());
    assert_eq!(directory.assign("Ann@corp.EXAMPLE").await.unwrap(), by("north", "corp.example"));
    assert_eq!(directory.assign("ann@x.south.corp.example").await.unwrap(), by("south", "south.corp.example"));
    let claimed = directory.assign("ann@shared.example").await.unwrap();
    assert_eq!(claimed, Assignment::Conflict(vec![id("north"), id("south")], "shared.example".into()));
    assert_eq!(claimed.customer(), None);
    assert_eq!(directory.assign("ann@other.example").await.unwrap(), Assignment::Unclaimed);

    directory.set_assignment("Ann@shared.example", Some(&id("south"))).await.unwrap();
    let said = directory.assign("ann@SHARED.example").await.unwrap();
    assert_eq!((&said, said.customer()), (&Assignment::Explicit(id("south")), Some(&id("south"))));
    directory.set_assignment("ann@shared.example", None).await.unwrap();
    assert_eq!(directory.assign("ann@shared.example").await.unwrap(), claimed);

    // What a customer no longer has is no longer its own.
    register(&service, "south", &["south.corp.example"]).await.unwrap();
    assert_eq!(directory.assign("ann@shared.example").await.unwrap(), by("north", "shared.example"));
    let nobody = directory.set_assignment("ann@shared.example", Some(&id("nobody"))).await.unwrap_err();
    assert_eq!(*nobody.kind(), ErrorKind::NotFound);
    let wrong = directory.set_assignment("ann", Some(&id("north"))).await.unwrap_err();
    assert_eq!(*wrong.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_domain_that_cannot_be_a_customers_own_is_refused() {
    let folder = folder();
    let service = Service::new(Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap()));
    let public = include_str!("../../../src/rules/public_mail.txt").lines().next().unwrap();
    for domain in [public, "corp", "not a domain.example"] {
        let refused = register(&service, "north", &[domain]).await.unwrap_err();
        assert_eq!((refused.kind(), refused.context("domain")), (&ErrorKind::Config, Some(domain)));
    }
}
