//! Actions on remote accounts. The endpoints are built from a configuration; who is asked, the library decides.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tenantry::endpoint::Action;
use tenantry::gate::Clock;
use tenantry::model::{ActionId, Asked, CustomerId, EndpointName, Happening, ObjectKind, RecordId};
use tenantry::service::{ActionRequest, ActionResult, RecordResult};
use tenantry::{Endpoint, Error, ErrorKind, Result, Service};
use tenantry_config::{EndpointConfig, TenantConfig};
use tokio_util::sync::CancellationToken;

use crate::output::Output;
use crate::place::{Place, blocking};
use crate::status::Ended;
use crate::table::aligned;
use crate::words::name_of;

/// After so long it is said what is waited for.
const QUIET: Duration = Duration::from_secs(8);

/// What is asked, and of whom.
#[derive(Debug, Args)]
pub(crate) struct Acting {
    /// What is asked.
    action: Wish,
    /// Of whom: ids of records, or primary addresses.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    from: From,
    /// Ask this endpoint, whoever owns the records.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Who asks; the feed tells it.
    #[arg(long, value_name = "WHO", default_value = "browse_tenant")]
    by: String,
    /// The id of the series: asked for once more under the same one, who was done is not asked again.
    #[arg(long, value_name = "UUID")]
    request: Option<uuid::Uuid>,
}

/// Whose account could be acted on.
#[derive(Debug, Args)]
pub(crate) struct Possible {
    /// The id of a record, or a primary address.
    id: String,
    #[command(flatten)]
    from: From,
}

/// Where the endpoints are configured.
#[derive(Debug, Args)]
struct From {
    /// The configuration of the endpoints. Default: the tenant.toml beside the state file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What can be asked of an account.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wish {
    Suspend,
    Resume,
    Unlock,
    ForcePasswordChange,
    RevokeSessions,
}

impl Wish {
    fn action(self) -> Action {
        match self {
            Self::Suspend => Action::Suspend,
            Self::Resume => Action::Resume,
            Self::Unlock => Action::Unlock,
            Self::ForcePasswordChange => Action::ForcePasswordChange,
            Self::RevokeSessions => Action::RevokeSessions,
        }
    }
}

impl From {
    /// Builds the endpoints. Nothing is sent, and nothing written.
    fn service(&self, place: &Place, state: &Path, named: Option<&str>) -> Result<(Service, CustomerId)> {
        let file = self.config.clone().unwrap_or_else(|| state.with_file_name("tenant.toml"));
        let config = TenantConfig::load(&file)?;
        let customer = config.customer.id.clone();
        if !place.customers.contains(&customer) {
            return Err(Error::config(
                "the configuration is of another customer than the state file, or the one named",
            )
            .with_context("customer", &customer)
            .with_context("file", file.display()));
        }
        // Told with those that there are.
        named.map(|name| config.endpoint(name)).transpose()?;
        let endpoints: Vec<Arc<dyn Endpoint>> =
            config.endpoints.iter().map(EndpointConfig::build).collect::<Result<_>>()?;
        let service = Service::new(Arc::clone(&place.store));
        service.attach(&customer, endpoints)?;
        Ok((service, customer))
    }
}

pub(crate) async fn act(place: &Place, state: &Path, acting: &Acting, output: &mut Output) -> Result<(), Ended> {
    let (service, customer) = acting.from.service(place, state, acting.endpoint.as_deref())?;
    let mut records = Vec::new();
    for id in &acting.ids {
        records.push(find(place, &customer, id).await?);
    }
    let mut request = ActionRequest::new(acting.action.action(), &acting.by);
    request.id = acting.request.map_or(request.id, ActionId);
    request.endpoint = acting.endpoint.as_ref().map(EndpointName::new).transpose()?;
    let cancel = CancellationToken::new();
    let results = {
        let (clock, mut quiet) = (Clock::system(), true);
        let asking = service.act(&customer, &request, &records, &cancel);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                results = &mut asking => break results,
                // What is under way is brought to its end, and told.
                Ok(()) = tokio::signal::ctrl_c(), if !cancel.is_cancelled() => cancel.cancel(),
                () = clock.sleep(QUIET), if quiet => {
                    quiet = false;
                    eprintln!("still asking; an endpoint that is not reached is tried again for a minute or two");
                }
            }
        }
    };
    let told: Vec<Told> = match results {
        Ok(results) => results.into_iter().map(Told::new).collect(),
        Err(error) => {
            let told = noted(place, &customer, &request, &records, &error).await?;
            eprintln!("{error}");
            told
        }
    };
    show(place, &customer, &request, &told, output).await?;
    if told.iter().all(Told::is_so) { Ok(()) } else { Err(Ended::NotAll) }
}

/// What became of one record.
struct Told {
    record: RecordId,
    endpoint: Option<EndpointName>,
    result: String,
    reason: Option<String>,
}

impl Told {
    fn new(of: RecordResult) -> Self {
        let reason = of.result.error().map(ToString::to_string);
        Self { record: of.record, endpoint: of.endpoint, result: of.result.as_str().to_owned(), reason }
    }

    fn is_so(&self) -> bool {
        self.result == ActionResult::Done.as_str() || self.result == ActionResult::AlreadySo.as_str()
    }
}

/// Reads what was noted of each record although the whole failed: an endpoint that could not be asked is the reason of all.
///
/// # Errors
/// The same error again, if it came before anything was noted.
async fn noted(
    place: &Place,
    customer: &CustomerId,
    request: &ActionRequest,
    records: &[RecordId],
    error: &Error,
) -> Result<Vec<Told>> {
    if *error.kind() == ErrorKind::Store {
        return Err(error.clone());
    }
    let mut told = Vec::new();
    for record in records {
        if told.iter().any(|told: &Told| told.record == *record) {
            continue;
        }
        let asked = asked(place, customer, request, *record).await?.ok_or_else(|| error.clone())?;
        let result = asked.result.ok_or_else(|| error.clone())?;
        told.push(Told { record: *record, endpoint: asked.endpoint, result, reason: asked.reason });
    }
    Ok(told)
}

/// Finds what was noted of a record under an id.
async fn asked(
    place: &Place,
    customer: &CustomerId,
    request: &ActionRequest,
    record: RecordId,
) -> Result<Option<Asked>> {
    let mut before = None;
    loop {
        let page = place.directory.happened(customer, Some(record), before.as_ref(), 100).await?;
        let mut actions = page.entries.into_iter().filter_map(|entry| match entry {
            Happening::Action(asked) => Some(asked),
            Happening::Event(_) => None,
        });
        let found = actions
            .find(|asked| asked.record == record && asked.request == request.id && asked.action == request.action);
        before = page.next;
        if found.is_some() || before.is_none() {
            return Ok(found);
        }
    }
}

/// Finds a record of the customer; an id that is nobody's is asked of nobody, and told as that.
async fn find(place: &Place, customer: &CustomerId, text: &str) -> Result<RecordId> {
    if let Ok(id) = text.parse() {
        return Ok(RecordId(id));
    }
    let (found_in, id) = place.find(ObjectKind::User, text).await?;
    if found_in == *customer { Ok(id) } else { Err(crate::place::unknown(text)) }
}

async fn show(
    place: &Place,
    customer: &CustomerId,
    request: &ActionRequest,
    results: &[Told],
    output: &mut Output,
) -> Result<(), Ended> {
    let mut rows = Vec::new();
    for told in results {
        let Told { record, endpoint, result, reason } = told;
        if output.is_json() {
            output.json(&json!({
                "type": "tenantry.action.result",
                "customer": customer,
                "request": request.id,
                "action": request.action,
                "record": record,
                "endpoint": endpoint,
                "result": result,
                "is_so": told.is_so(),
                "reason": reason,
            }))?;
            continue;
        }
        let (store, owner, id) = (Arc::clone(&place.store), customer.clone(), *record);
        let known = blocking(move || store.record(&owner, id)).await?;
        let name = known.map(|known| name_of(&known)).unwrap_or_default();
        let endpoint = endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        rows.push([record.to_string(), name, endpoint, result.clone(), reason.clone().unwrap_or_default()]);
    }
    if !output.is_json() {
        for line in aligned(["record", "name", "endpoint", "result", "reason"], &rows) {
            output.line(&line)?;
        }
    }
    // Whether all of it is printed matters more here than elsewhere: something was changed.
    output.end()
}

pub(crate) async fn possible(
    place: &Place,
    state: &Path,
    possible: &Possible,
    output: &mut Output,
) -> Result<(), Ended> {
    let (service, customer) = possible.from.service(place, state, None)?;
    let (_, id) = place.find(ObjectKind::User, &possible.id).await?;
    let available = service.available_actions(&customer, id).await?;
    if output.is_json() {
        for one in &available {
            let obstacle = one.obstacle.as_ref().map(ToString::to_string);
            output.json(&json!({
                "customer": customer, "record": id, "action": one.action, "endpoint": one.endpoint,
                "available": one.obstacle.is_none(), "obstacle": obstacle,
            }))?;
        }
        return Ok(());
    }
    for one in &available {
        let through = one.endpoint.as_ref().map(|endpoint| format!(" through {endpoint}")).unwrap_or_default();
        match &one.obstacle {
            None => output.line(&format!("{}{through}", one.action))?,
            Some(error) => output.line(&format!("{}: not available: {}", one.action, error.message()))?,
        }
    }
    Ok(())
}
