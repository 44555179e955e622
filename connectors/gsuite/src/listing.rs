//! What all listings share: their addresses, and what becomes of a record that makes no sense. It must not know in which
//! order they are read.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tenantry::model::{ObjectKind, Quarantined, SourceId};
use tenantry::{Context, ErrorKind, Result};
use url::Url;

use crate::client::Api;
use crate::cursor::Stage;
use crate::map::Units;
use crate::operation::Operation;
use crate::wire::{CHROMEOS_FIELDS, GROUP_FIELDS, MOBILE_FIELDS, OrgUnit, Page, USER_FIELDS, mask, salvaged_id};

/// Whether attributes and members come too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Full,
    Ids,
}

/// Makes the address of a stage's listing, without a page.
pub(crate) fn listing_url(api: &Api, stage: Stage, backwards: bool, detail: Detail) -> Url {
    let config = &api.config;
    let fields = |items: &str, full: &str, ids: &str| mask(items, if detail == Detail::Full { full } else { ids });
    let size = |most: u32| config.page_size.min(most).to_string();
    let domain = config.domain.as_deref().unwrap_or_default();
    // With a domain the account must not be named, or the other way round.
    let customer = if domain.is_empty() { config.customer.as_str() } else { "" };
    let order = if backwards { "DESCENDING" } else { "ASCENDING" };
    match stage {
        Stage::Users => {
            let fields = fields("users", USER_FIELDS, "id");
            let size = size(500);
            let query = [
                ("customer", customer),
                ("domain", domain),
                ("maxResults", &size),
                ("orderBy", "email"),
                ("sortOrder", order),
                ("fields", &fields),
            ];
            api.url(&["users"], &query)
        }
        Stage::Groups | Stage::Members => {
            let fields = fields("groups", GROUP_FIELDS, "id");
            let size = size(200);
            let query = [("customer", customer), ("domain", domain), ("maxResults", &size), ("fields", &fields)];
            api.url(&["groups"], &query)
        }
        Stage::ChromeOs => {
            let fields = fields("chromeosdevices", CHROMEOS_FIELDS, "deviceId");
            let size = size(300);
            let query = [("maxResults", size.as_str()), ("fields", &fields), ("projection", "BASIC")];
            api.url(&["customer", &config.customer, "devices", "chromeos"], &query)
        }
        Stage::Mobile => {
            let fields = fields("mobiledevices", MOBILE_FIELDS, "resourceId");
            let size = size(100);
            let query = [("maxResults", size.as_str()), ("fields", &fields), ("projection", "BASIC")];
            api.url(&["customer", &config.customer, "devices", "mobile"], &query)
        }
    }
}

/// Reads a record; `None` where it makes no sense.
pub(crate) fn parse<T: DeserializeOwned>(item: &RawValue) -> Option<T> {
    serde_json::from_str(item.get()).ok()
}

/// Ids of devices may be spelled as GUIDs; those of users and groups are none.
pub(crate) fn source_id(kind: ObjectKind, id: &str) -> SourceId {
    match kind {
        ObjectKind::Computer => SourceId::parse(id),
        _ => SourceId::Id(id.into()),
    }
}

/// Sets a record aside, with its id where that can be read.
pub(crate) fn senseless(kind: ObjectKind, item: &RawValue) -> Quarantined {
    let id = salvaged_id(item).map(|id| source_id(kind, &id));
    Quarantined { kind, id, reason: "a field has not the form that the API documents, or the id is missing".to_owned() }
}

/// Reads the ids of organisational units; nothing where they may not be read.
pub(crate) async fn units(api: &Api, cx: &Context) -> Result<Units> {
    let fields = "organizationUnits(orgUnitId,orgUnitPath)";
    // By default only the children of the root come.
    let url = api.url(&["customer", &api.config.customer, "orgunits"], &[("type", "all"), ("fields", fields)]);
    match api.get::<Page>(cx, Operation::ListOrgUnits, &url).await {
        Ok(page) => {
            let units = page.items.iter().filter_map(|item| parse::<OrgUnit>(item));
            Ok(Some(units.map(|unit| (unit.org_unit_path, unit.org_unit_id)).collect::<HashMap<_, _>>()))
        }
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
