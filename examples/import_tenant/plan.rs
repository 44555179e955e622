//! A dry run: what an import would do, told to a person or as the summary; nothing is changed.

use std::path::Path;

use tenantry::store::Totals;

use crate::args::Arguments;
use crate::console::Console;
use crate::import::{check_approval, import_all};
use crate::json;
use crate::status::{Refusal, Status};
use crate::summary::{self, Summary};
use crate::tenant::Tenant;
use crate::text;

/// Plans and tells the exit status.
pub(crate) async fn run(
    arguments: &Arguments,
    tenant: &Tenant,
    state: &Path,
    console: &Console,
) -> Result<Status, Refusal> {
    // The folder of a stand-in goes when this function ends.
    let (service, _folder) = tenant.look_at(state)?;
    check_approval(&service, tenant, arguments.approve.as_ref()).await?;
    let outcomes = import_all(arguments, tenant, &service, console).await;
    let mut status = summary::status(&outcomes);
    if arguments.json {
        let totals: Totals = service.totals(&tenant.customer.id).await?;
        if let Err(error) = json::print(&Summary::new(&tenant.customer.id, &outcomes, totals)).await {
            console.note(&error.to_string());
            status = status.max(Status::Failed);
        }
        text::complain(console, &outcomes);
    } else {
        text::outcomes(console, &outcomes);
        console.say("this was a plan: nothing was changed");
    }
    Ok(status)
}
