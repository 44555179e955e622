//! Law 15 from end to end: no provider is asked faster than this process's share of its published quota, however many
//! endpoints, customers and services of the process ask it at once.
//!
//! The oracle counts the calls that reached the scripted endpoints; it knows no bucket.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tenantry::endpoint::CallLimits;
use tenantry::gate::{Clock, Limit, Quotas};
use tenantry::model::{CustomerId, Outcome};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

use super::Dice;
use crate::world::{World, folder};

fn limit(permits: u32, seconds: u64, share: f64) -> Limit {
    let permits = NonZeroU32::new(permits).unwrap();
    Limit::new(permits, Duration::from_secs(seconds)).and_then(|limit| limit.with_share(share)).unwrap()
}

/// The most calls in any window of so many seconds.
fn fullest(calls: &[Duration], seconds: u64) -> usize {
    let window = |from: Duration| from..from + Duration::from_secs(seconds);
    calls.iter().map(|from| calls.iter().filter(|at| window(*from).contains(*at)).count()).max().unwrap_or(0)
}

fn endpoint(name: &str, limits: CallLimits) -> ScriptedEndpoint {
    ScriptedEndpoint::new(name, World::directory(60), 3).unwrap().with_deltas().with_limits(limits)
}

fn service(quotas: &Quotas, folder: &tempfile::TempDir, file: &str) -> Service {
    Service::with_quotas(Arc::new(SqliteStore::open(folder.path().join(file)).unwrap()), quotas.clone())
}

async fn register(service: &Service, customer: &str, endpoints: &[ScriptedEndpoint]) -> CustomerId {
    let id = CustomerId::new(customer).unwrap();
    let endpoints = endpoints.iter().map(|endpoint| Arc::new(endpoint.clone()) as Arc<dyn Endpoint>).collect();
    service.register(Customer::new(id.clone()), endpoints).await.unwrap();
    id
}

fn asked(endpoints: &[&ScriptedEndpoint]) -> Vec<Duration> {
    endpoints.iter().flat_map(|endpoint| endpoint.asked()).collect()
}

fn clock() -> Clock {
    let (clock, time) = Clock::manual();
    time.advance_by_itself();
    clock
}

/// Three customers in two services, two of them with an endpoint in the same tenant; one application asks for all.
/// Returns the most calls of the application in one period.
async fn imports_of_one_application(seed: u64) -> usize {
    let (folder, mut dice) = (folder(), Dice(seed));
    let (wide, narrow) = (limit(30, 10, 0.5), limit(12, 10, 0.75));
    let tenant = |tenant: &str| {
        CallLimits::default()
            .with_concurrency(NonZeroUsize::new(3).unwrap())
            .with_quota("application", "app", wide)
            .with_quota("tenant", format!("app {tenant}"), narrow)
    };
    let quotas = Quotas::new(clock());
    let (first, second) = (service(&quotas, &folder, "1.db"), service(&quotas, &folder, "2.db"));
    let [left, right, other] = ["t1", "t2", "t2"].map(tenant).map(|limits| endpoint("cloud", limits));
    let one = endpoint("sales", tenant("t1"));
    let c1 = register(&first, "c1", &[left.clone(), one.clone()]).await;
    let c2 = register(&first, "c2", std::slice::from_ref(&right)).await;
    let c3 = register(&second, "c3", std::slice::from_ref(&other)).await;
    for _ in 0..6 {
        // Registered again, as a host does when a configuration is read anew: no burst comes with it.
        if dice.below(2) == 0 {
            register(&first, "c2", std::slice::from_ref(&right)).await;
        }
        let runs = [(&first, &c1, &left), (&first, &c1, &one), (&first, &c2, &right), (&second, &c3, &other)];
        let runs = runs.map(|(service, customer, endpoint)| async move {
            let options = ImportOptions { full: true, ..ImportOptions::default() };
            service.import(customer, &endpoint.info().name, options).await.unwrap()
        });
        for report in join_all(runs).await {
            assert_eq!(report.outcome, Outcome::Done, "seed {seed}: {report:?}");
        }
        for endpoint in [&left, &right, &other, &one] {
            endpoint.change(|directory| directory.delete(&ScriptedDirectory::id(1 + u128::from(dice.below(60)))));
        }
    }
    let all = asked(&[&left, &right, &other, &one]);
    assert!(fullest(&all, 10) <= 15, "law 15: seed {seed}: {} calls of the application", fullest(&all, 10));
    for (name, tenant) in [("t1", [&left, &one]), ("t2", [&right, &other])] {
        let calls = asked(&tenant);
        assert!(fullest(&calls, 10) <= 9, "law 15: seed {seed}: {} calls in {name}", fullest(&calls, 10));
    }
    fullest(&all, 10)
}

#[test]
fn law_15_all_endpoints_of_one_application_together_stay_within_its_share() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let most = (0..8).map(|seed| runtime.block_on(imports_of_one_application(seed))).max().unwrap();
    println!("law 15: at most {most} of 15 calls in a period");
    assert!(most >= 13, "the share is there to be used: {most}");
}

#[tokio::test]
async fn what_one_kind_or_another_key_counts_is_apart() {
    let (folder, quotas) = (folder(), Quotas::new(clock()));
    let service = service(&quotas, &folder, "state.db");
    let limits = |key: &str| CallLimits::default().with_quota("application", key, limit(10, 10, 1.0));
    let [one, other] = ["one", "other"].map(|key| endpoint(key, limits(key)));
    let customer = register(&service, "c1", &[one.clone(), other.clone()]).await;
    let runs = [&one, &other].map(|endpoint| {
        let (service, customer) = (&service, &customer);
        async move { service.import(customer, &endpoint.info().name, ImportOptions::default()).await.unwrap() }
    });
    join_all(runs).await;
    assert!(fullest(&one.asked(), 10) <= 10 && fullest(&other.asked(), 10) <= 10);
    assert!(fullest(&asked(&[&one, &other]), 10) > 10, "each has the whole quota");
}

#[tokio::test]
async fn the_smallest_share_that_is_configured_holds_until_the_configuration_changes() {
    let (folder, quotas) = (folder(), Quotas::new(clock()));
    let service = service(&quotas, &folder, "state.db");
    let limits = |share| CallLimits::default().with_quota("application", "app", limit(100, 10, share));
    let (large, small) = (endpoint("large", limits(1.0)), endpoint("small", limits(0.1)));
    let customer = register(&service, "c1", &[large.clone(), small.clone()]).await;
    let run = async || {
        service.import(&customer, &large.info().name, ImportOptions { full: true, ..ImportOptions::default() }).await
    };
    run().await.unwrap();
    assert!(fullest(&large.asked(), 10) <= 10);
    // Somebody gives the other endpoint more.
    register(&service, "c1", &[small.clone().with_limits(limits(0.8))]).await;
    run().await.unwrap();
    let most = fullest(&large.asked(), 10);
    assert!(most > 10 && most <= 80, "{most}");
}
