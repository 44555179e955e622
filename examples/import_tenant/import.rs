//! An import of every chosen endpoint, side by side: one that fails does not stop the others.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use tenantry::gate::Clock;
use tenantry::model::{CustomerId, PlanId};
use tenantry::{Error, ImportOptions, Result, Service};
use tokio_util::sync::CancellationToken;

use crate::args::Arguments;
use crate::console::Console;
use crate::json::{self, Printer};
use crate::progress::Meter;
use crate::signal::stop_on_signal;
use crate::status::{Refusal, Status};
use crate::summary::{self, Ended, Summary};
use crate::tenant::{Configured, Tenant};
use crate::text;

/// How often it is asked what an import waits for.
const LOOK: Duration = Duration::from_millis(250);

/// Imports, prints and tells the exit status.
pub(crate) async fn run(
    arguments: &Arguments,
    tenant: &Tenant,
    state: &Path,
    console: &Console,
) -> Result<Status, Refusal> {
    if let Some(id) = arguments.approve.as_ref().filter(|_| !state.exists()) {
        return Err(unknown(id).into());
    }
    let service = tenant.open(state).await?;
    check_approval(&service, tenant, arguments.approve.as_ref()).await?;
    let customer = &tenant.customer.id;
    let began_behind = service.last_position(customer).await?;

    let ended = CancellationToken::new();
    let printing = arguments.json.then(|| {
        let (printer, ended) = (Printer::new(&service, customer), ended.clone());
        tokio::spawn(async move { printer.print_until(ended).await })
    });
    let outcomes = import_all(arguments, tenant, &service, console).await;
    ended.cancel();
    let mut status = summary::status(&outcomes);
    match printing {
        Some(printing) => {
            let printed = match printing.await {
                Ok(Ok(())) => {
                    let totals = service.totals(customer).await?;
                    json::print(&Summary::new(customer, &outcomes, totals)).await
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Error::new(tenantry::ErrorKind::Sink, "printing panicked")),
            };
            if let Err(error) = printed {
                console.note(&error.to_string());
                status = status.max(Status::Failed);
            }
            text::complain(console, &outcomes);
        }
        None => {
            text::outcomes(console, &outcomes);
            text::changes(console, &service, customer, began_behind).await?;
            text::totals(console, &service, customer).await?;
        }
    }
    Ok(status)
}

/// Refuses an approval that could not have any effect.
pub(crate) async fn check_approval(service: &Service, tenant: &Tenant, approve: Option<&PlanId>) -> Result<()> {
    let Some(id) = approve else { return Ok(()) };
    let customer = &tenant.customer.id;
    let (store, owner, plan) = (service.store().clone(), customer.clone(), id.clone());
    let known = tokio::task::spawn_blocking(move || store.can_approve(&owner, &plan)).await;
    if !known.map_err(|_| unknown(id))?? {
        return Err(unknown(id));
    }
    let parked = service.parked(customer).await?;
    match parked.iter().find(|parked| parked.plan == *id) {
        Some(parked) if !tenant.chosen().any(|chosen| *chosen.name() == parked.endpoint) => {
            Err(Error::config("what is parked under this id belongs to an endpoint that was not chosen")
                .with_context("plan", id)
                .with_context("endpoint", &parked.endpoint))
        }
        _ => Ok(()),
    }
}

fn unknown(id: &PlanId) -> Error {
    Error::config("nothing is parked or planned under this id; run again to see what is parked")
        .with_context("plan", id)
}

/// Runs every chosen endpoint to its end.
pub(crate) async fn import_all(
    arguments: &Arguments,
    tenant: &Tenant,
    service: &Service,
    console: &Console,
) -> Vec<Ended> {
    let stop = stop_on_signal();
    let imports = tenant.chosen().map(|chosen| {
        let options = ImportOptions {
            full: arguments.full,
            dry_run: arguments.plan,
            approve: arguments.approve.clone(),
            ..chosen.options.clone()
        };
        import_one(service, &tenant.customer.id, chosen, options, &stop, console)
    });
    join_all(imports).await
}

/// Runs one endpoint to its end.
pub(crate) async fn import_one(
    service: &Service,
    customer: &CustomerId,
    chosen: &Configured,
    options: ImportOptions,
    stop: &CancellationToken,
    console: &Console,
) -> Ended {
    let clock = Clock::system();
    let mut meter = Meter::new(console, chosen.name().as_str());
    let attempt = async {
        let mut handle = service.start(customer, chosen.name(), options).await?;
        let cancel = handle.cancel_token();
        loop {
            tokio::select! {
                progress = handle.progressed() => match progress {
                    Some(progress) => meter.show(&progress),
                    None => break,
                },
                // What an import waits for is told by its gate, without being asked to look.
                () = clock.sleep(LOOK) => meter.show(&handle.status()),
                () = stop.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
            }
        }
        handle.wait().await
    };
    match attempt.await {
        Ok(report) => report.into(),
        Err(error) => Ended::without_run(chosen.endpoint.info(), Some(&error)),
    }
}
