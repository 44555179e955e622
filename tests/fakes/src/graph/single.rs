//! Resources that are no plain listing: one object, the organisation, ids in bulk, memberships, licences; no transport.

use serde_json::{Map, Value, json};

use super::error::Problem;
use super::ids::{Id, Kind, Ref};
use super::listing::{Listing, member_set};
use super::page::Page;
use super::permissions::KNOWN;
use super::properties::{self, NOT_IN_LISTS};
use super::query::set;
use super::reports;
use super::route::Route;
use super::rows::{open, row};
use super::service::{Asked, Output};
use super::state::{Life, State};

/// The application id of Graph itself, in every tenant.
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// The most ids that one look-up may name.
const MOST_IDS: usize = 1000;

impl Asked<'_> {
    pub(crate) fn single(&self, state: &State, listing: &Listing<'_>) -> Result<Output, Problem> {
        match &self.route {
            Route::Organization => Ok(self.organization(state)),
            Route::Domains => Ok(self.domains()),
            Route::One(kind, id) => self.object(state, listing, *kind, id),
            Route::DeletedOne(id) => self.deleted_one(state, listing, id),
            Route::GetByIds => self.by_ids(state, listing).map(Output::Page),
            Route::MemberOf { kind, id, transitive } => {
                let object = state.wanted(Some(*kind), id)?;
                let groups = if *transitive { state.all_groups_of(object) } else { state.groups_of(object) };
                let groups: Vec<Ref> = groups.into_iter().map(|group| Ref::new(Kind::Group, group)).collect();
                listing.these(&groups, "directoryObjects").map(Output::Page)
            }
            Route::MemberGroups { kind, id, check } => self.member_groups(state, *kind, id, *check),
            Route::Purpose(id) => reports::purpose(self, state, id),
            Route::Registration => reports::registration(self, state, listing).map(Output::Page),
            Route::Skus => Ok(self.skus(state)),
            Route::ServicePrincipal(key) => self.service_principal(key),
            Route::RoleAssignments(key) => self.role_assignments(key),
            _ => Err(Problem::new(400, "BadRequest", "Resource not found for the segment.")),
        }
    }

    fn body(&self) -> Result<Map<String, Value>, Problem> {
        serde_json::from_slice(&self.request.body).map_err(|_| {
            Problem::new(400, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
        })
    }

    fn picked(&self, value: Value) -> Value {
        let (Some(names), Value::Object(object)) = (&self.query.select, &value) else { return value };
        let keep = |(name, _): &(&String, &Value)| names.iter().any(|other| other == *name) || *name == "id";
        object.iter().filter(keep).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn values(&self, set: &str, rows: Vec<Value>) -> Output {
        let mut page = Page::new(format!("{}/$metadata#{set}", self.base()));
        for row in rows {
            let row = self.picked(row);
            page.row(|out| out.extend_from_slice(row.to_string().as_bytes()));
        }
        Output::Page(page)
    }

    fn organization(&self, state: &State) -> Output {
        let domains: Vec<Value> = self.domain_rows();
        let domains: Vec<Value> = domains
            .iter()
            .map(|domain| {
                json!({ "capabilities": "Email, OfficeCommunicationsOnline", "name": domain["id"], "type": "Managed",
                    "isDefault": domain["isDefault"], "isInitial": domain["isInitial"] })
            })
            .collect();
        let synced = state.seeds.size.synced_percent > 0 && state.seeds.size.users > 0;
        self.values(
            "organization",
            vec![json!({
                "id": self.inner.tenant_id, "deletedDateTime": null, "displayName": self.inner.display_name(),
                "createdDateTime": "2018-11-05T08:00:00Z", "city": null, "country": null, "countryLetterCode": "DE",
                "preferredLanguage": "en", "businessPhones": [], "tenantType": "AAD", "verifiedDomains": domains,
                "onPremisesSyncEnabled": if synced { Value::Bool(true) } else { Value::Null },
                "onPremisesLastSyncDateTime": if synced { json!("2026-01-15T00:00:00Z") } else { Value::Null },
                "assignedPlans": [], "technicalNotificationMails": [], "provisionedPlans": [],
            })],
        )
    }

    fn domain_rows(&self) -> Vec<Value> {
        let initial = self.inner.initial_domain();
        self.inner
            .domains()
            .into_iter()
            .enumerate()
            .map(|(place, name)| {
                json!({ "id": name, "authenticationType": "Managed", "isAdminManaged": true, "isDefault": place == 0,
                    "isInitial": name == initial, "isRoot": true, "isVerified": true,
                    "supportedServices": ["Email", "OfficeCommunicationsOnline"] })
            })
            .collect()
    }

    fn domains(&self) -> Output {
        self.values("domains", self.domain_rows())
    }

    fn skus(&self, state: &State) -> Output {
        let sku = "6fd2c87f-b296-42f0-b197-1e91e994b900";
        let used = state.live(Kind::User) / 10 * 9;
        self.values(
            "subscribedSkus",
            vec![json!({
                "id": format!("{}_{sku}", self.inner.tenant_id), "skuId": sku, "skuPartNumber": "ENTERPRISEPACK",
                "accountId": self.inner.tenant_id, "accountName": self.inner.display_name(), "appliesTo": "User",
                "capabilityStatus": "Enabled", "consumedUnits": used, "subscriptionIds": [],
                "prepaidUnits": { "enabled": used + 10, "suspended": 0, "warning": 0, "lockedOut": 0 },
                "servicePlans": if self.settings.premium {
                    json!([{ "servicePlanId": "41781fb2-bc02-4b7c-bd55-b576c07bb09d", "servicePlanName": "AAD_PREMIUM",
                        "provisioningStatus": "Success", "appliesTo": "User" }])
                } else {
                    json!([])
                },
            })],
        )
    }

    fn entity(
        &self,
        context: &str,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Problem>,
    ) -> Result<Output, Problem> {
        let mut row = Vec::new();
        write(&mut row)?;
        let mut out = Vec::with_capacity(row.len() + 128);
        out.extend_from_slice(b"{\"@odata.context\":");
        super::page::text(&format!("{}/$metadata#{context}/$entity", self.base()), &mut out);
        out.push(b',');
        out.extend_from_slice(row.get(1..).unwrap_or_default());
        Ok(Output::Bytes(out))
    }

    fn object(&self, state: &State, listing: &Listing<'_>, kind: Option<Kind>, id: &str) -> Result<Output, Problem> {
        let object = state.wanted(kind, id)?;
        if let Some(kind) = kind {
            self.may_select(kind)?;
        }
        // What no listing shows is shown here, where it is set at all.
        let names = self.query.select.as_ref().map(|names| {
            names.iter().filter(|name| !NOT_IN_LISTS.contains(&name.as_str())).cloned().collect::<Vec<_>>()
        });
        let chosen = names
            .as_ref()
            .map_or_else(|| Ok(properties::defaults(object.kind())), |names| set(object.kind(), names))?;
        let context = kind.map_or("directoryObjects", Kind::set);
        self.entity(context, |out| {
            open(state, object, chosen, kind.is_none(), (listing.detail)(object.kind()), out);
            listing.expand(object, out)?;
            out.push(b'}');
            Ok(())
        })
    }

    fn deleted_one(&self, state: &State, listing: &Listing<'_>, id: &str) -> Result<Output, Problem> {
        let object = id.parse::<Id>().ok().and_then(|id| state.find(id));
        let object = object.filter(|object| matches!(state.life(*object), Life::Soft(_)));
        let object = object.ok_or_else(|| Problem::not_found(id))?;
        let chosen = member_set(object.kind(), self.query.select.as_deref())?
            | properties::bit(object.kind(), "deletedDateTime");
        self.entity("directoryObjects", |out| {
            row(state, object, chosen, true, (listing.detail)(object.kind()), out);
            Ok(())
        })
    }

    fn by_ids(&self, state: &State, listing: &Listing<'_>) -> Result<Page, Problem> {
        let body = self.body()?;
        let ids = body.get("ids").and_then(Value::as_array).ok_or_else(|| Problem::bad("ids must be given."))?;
        if ids.len() > MOST_IDS {
            return Err(Problem::bad("Too many object identifiers specified; the maximum is 1000."));
        }
        let types: Option<Vec<&str>> =
            body.get("types").and_then(Value::as_array).map(|types| types.iter().filter_map(Value::as_str).collect());
        let wanted = |kind: Kind| {
            let name = &kind.odata_type()["#microsoft.graph.".len()..];
            types.as_ref().is_none_or(|types| types.iter().any(|other| *other == name || *other == "directoryObject"))
        };
        let mut page = Page::new(format!("{}/$metadata#directoryObjects", self.base()));
        for id in ids {
            let id = id.as_str().and_then(|id| id.parse::<Id>().ok());
            let id = id.ok_or_else(|| Problem::bad("Invalid object identifier."))?;
            let Some(object) = state.find(id).filter(|object| state.is_live(*object) && wanted(object.kind())) else {
                continue;
            };
            let chosen = match &self.query.select {
                Some(names) => member_set(object.kind(), Some(names))?,
                // Without a selection users come incomplete: a known issue of the real service.
                None if object.kind() == Kind::User => {
                    set(Kind::User, &["displayName".to_owned(), "userPrincipalName".to_owned()])?
                }
                None => properties::defaults(object.kind()),
            };
            page.row(|out| row(state, object, chosen, true, (listing.detail)(object.kind()), out));
        }
        Ok(page)
    }

    fn member_groups(&self, state: &State, kind: Option<Kind>, id: &str, check: bool) -> Result<Output, Problem> {
        let object = state.wanted(kind, id)?;
        let body = self.body()?;
        let security = body.get("securityEnabledOnly").and_then(Value::as_bool).unwrap_or(false);
        let groups = state.all_groups_of(object).into_iter().map(|group| Ref::new(Kind::Group, group));
        let mut ids: Vec<String> = groups
            .filter(|group| check || !security || state.named(*group, "securityEnabled") == Value::Bool(true))
            .map(|group| state.id(group).to_string())
            .collect();
        if check {
            let asked = body
                .get("groupIds")
                .and_then(Value::as_array)
                .ok_or_else(|| Problem::bad("groupIds must be given."))?;
            if asked.len() > 20 {
                return Err(Problem::bad("Too many groupIds specified; the maximum is 20."));
            }
            ids.retain(|id| {
                asked.iter().any(|other| other.as_str().is_some_and(|other| other.eq_ignore_ascii_case(id)))
            });
        }
        Ok(Output::Json(
            json!({ "@odata.context": format!("{}/$metadata#Collection(Edm.String)", self.base()), "value": ids }),
        ))
    }

    // The application's own rights.

    fn service_principal(&self, key: &str) -> Result<Output, Problem> {
        let app = app_id(key);
        let known = self.inner.apps().by_id.contains_key(&app);
        let sp = self.inner.principal_id(&app);
        if app == GRAPH {
            let roles: Vec<Value> = KNOWN
                .iter()
                .map(|(name, id)| {
                    json!({ "id": id, "value": name, "displayName": name, "description": name, "isEnabled": true,
                        "allowedMemberTypes": ["Application"] })
                })
                .collect();
            let value = json!({ "id": sp, "appId": app, "displayName": "Microsoft Graph", "appRoles": roles });
            return Ok(Output::Json(self.picked(value)));
        }
        if !known {
            return Err(Problem::not_found(key));
        }
        let value = json!({ "id": sp, "appId": app, "displayName": "Directory import", "accountEnabled": true,
            "servicePrincipalType": "Application", "appRoles": [] });
        Ok(Output::Json(self.picked(value)))
    }

    fn role_assignments(&self, key: &str) -> Result<Output, Problem> {
        let mut app = app_id(key);
        let apps = self.inner.apps();
        if !apps.by_id.contains_key(&app) {
            let found = apps.by_id.keys().find(|app| self.inner.principal_id(app) == key);
            app = found.cloned().ok_or_else(|| Problem::not_found(key))?;
        }
        let principal = self.inner.principal_id(&app);
        let names = apps.by_id.get(&app).map(|app| app.permissions.clone()).unwrap_or_default();
        drop(apps);
        let rows = names
            .iter()
            .map(|name| {
                json!({ "id": format!("{principal}-{name}"), "deletedDateTime": null,
                    "appRoleId": KNOWN.iter().find(|(known, _)| known == name).map(|(_, id)| *id),
                    "createdDateTime": "2026-01-01T00:00:00Z", "principalDisplayName": "Directory import",
                    "principalId": principal, "principalType": "ServicePrincipal",
                    "resourceDisplayName": "Microsoft Graph", "resourceId": self.inner.principal_id(GRAPH) })
            })
            .collect();
        Ok(self.values("appRoleAssignments", rows))
    }
}

fn app_id(key: &str) -> String {
    key.strip_prefix("appId=").unwrap_or(key).trim_matches('\'').to_ascii_lowercase()
}
