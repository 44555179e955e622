//! What each reading method shows; it knows no socket and changes nothing.

use serde_json::{Map, Value, json};

use super::Answer;
use super::activity::Activity;
use super::call::Call;
use super::clock::read;
use super::listing::{Frame, Items, Spec};
use super::member::Role;
use super::query::Query;
use super::refusal::Refusal;
use super::state::{Place, ROOT_UNIT, State, addresses_of, parent_of, text};

pub(crate) const USERS: Spec = Spec {
    kind: "admin#directory#users",
    items: "users",
    default: 100,
    most: 500,
    strict: true,
    fields: &[
        "addresses",
        "agreedToTerms",
        "aliases",
        "archivalTime",
        "archived",
        "changePasswordAtNextLogin",
        "creationTime",
        "customSchemas",
        "customerId",
        "deletionTime",
        "emails",
        "etag",
        "externalIds",
        "gender",
        "guestAccountInfo",
        "hashFunction",
        "id",
        "ims",
        "includeInGlobalAddressList",
        "ipWhitelisted",
        "isAdmin",
        "isDelegatedAdmin",
        "isEnforcedIn2Sv",
        "isEnrolledIn2Sv",
        "isGuestUser",
        "isMailboxSetup",
        "keywords",
        "kind",
        "languages",
        "lastLoginTime",
        "locations",
        "name",
        "nonEditableAliases",
        "notes",
        "orgUnitPath",
        "organizations",
        "phones",
        "posixAccounts",
        "primaryEmail",
        "recoveryEmail",
        "recoveryPhone",
        "relations",
        "sshPublicKeys",
        "suspended",
        "suspensionReason",
        "suspensionTime",
        "thumbnailPhotoEtag",
        "thumbnailPhotoUrl",
        "websites",
    ],
};
pub(crate) const GROUPS: Spec = Spec {
    kind: "admin#directory#groups",
    items: "groups",
    default: 200,
    most: 200,
    strict: false,
    fields: &[
        "adminCreated",
        "aliases",
        "description",
        "directMembersCount",
        "email",
        "etag",
        "externalIds",
        "id",
        "kind",
        "name",
        "nonEditableAliases",
    ],
};
pub(crate) const MEMBERS: Spec = Spec {
    kind: "admin#directory#members",
    items: "members",
    default: 200,
    most: 200,
    strict: false,
    fields: &["delivery_settings", "email", "etag", "id", "kind", "role", "status", "type"],
};
pub(crate) const CHROMEOS: Spec = Spec {
    kind: "admin#directory#chromeosdevices",
    items: "chromeosdevices",
    default: 100,
    most: 300,
    strict: false,
    fields: &[],
};
pub(crate) const MOBILE: Spec = Spec {
    kind: "admin#directory#mobiledevices",
    items: "mobiledevices",
    default: 100,
    most: 100,
    strict: true,
    fields: &[],
};
const ORGUNITS: Spec = Spec {
    kind: "admin#directory#orgUnits",
    items: "organizationUnits",
    default: usize::MAX,
    most: usize::MAX,
    strict: false,
    fields: &[
        "blockInheritance",
        "description",
        "etag",
        "kind",
        "name",
        "orgUnitId",
        "orgUnitPath",
        "parentOrgUnitId",
        "parentOrgUnitPath",
    ],
};
const DOMAINS: Spec =
    Spec { kind: "admin#directory#domains", items: "domains", default: 100, most: 100, strict: false, fields: &[] };
const ROLES: Spec =
    Spec { kind: "admin#directory#roles", items: "items", default: 100, most: 100, strict: true, fields: &[] };
const ASSIGNMENTS: Spec = Spec {
    kind: "admin#directory#roleAssignments",
    items: "items",
    default: 100,
    most: 200,
    strict: true,
    fields: &[],
};
const ACTIVITIES: Spec =
    Spec { kind: "admin#reports#activities", items: "items", default: 1000, most: 1000, strict: true, fields: &[] };

/// Answers a reading method.
pub(crate) fn show(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let call = frame.call;
    match call.operation {
        "users.list" => users(state, frame),
        "users.get" => {
            let id = known_user(state, call.key(0))?;
            frame.object(shown_user(state.user(&id).unwrap_or_default(), call))
        }
        "users.aliases.list" => {
            let id = known_user(state, call.key(0))?;
            let user = state.user(&id).unwrap_or_default();
            let aliases = user.get("aliases").and_then(Value::as_array).cloned().unwrap_or_default();
            let kind = "admin#directory#alias";
            let rows = aliases.iter().map(|alias| json!({"kind": kind, "id": id, "alias": alias})).collect();
            small(frame, "admin#directory#aliases", "aliases", rows)
        }
        "asps.list" => {
            known_user(state, call.key(0))?;
            small(frame, "admin#directory#aspList", "items", Vec::new())
        }
        "groups.list" => groups(state, frame),
        "groups.get" => frame.object(state.group(&known_group(state, call.key(0))?).unwrap_or_default()),
        "members.list" => members(state, frame),
        "members.get" => {
            let group = known_group(state, call.key(0))?;
            let member = find_member(state, &group, call.key(1)).ok_or_else(|| Refusal::not_found("memberKey"))?;
            frame.object(member)
        }
        "members.hasMember" => has_member(state, frame),
        "orgunits.list" => orgunits(state, frame),
        "orgunits.get" => orgunit(state, frame),
        "chromeosdevices.list" => {
            own_customer(state, call.key(0))?;
            let most = frame.settings.chromeos_page;
            let rows = |after: &str| {
                rows(state.chromeos.walk(&state.seed, after, after.is_empty()), |id| {
                    state.chromeos.get(&state.seed, id)
                })
            };
            frame.page(&Spec { most, ..CHROMEOS }, rows)
        }
        "mobiledevices.list" => {
            own_customer(state, call.key(0))?;
            let rows = |after: &str| {
                rows(state.mobile.walk(&state.seed, after, after.is_empty()), |id| state.mobile.get(&state.seed, id))
            };
            frame.page(&MOBILE, rows)
        }
        "chromeosdevices.get" => {
            let device = state.chromeos.get(&state.seed, call.key(1));
            frame.object(device.ok_or_else(|| Refusal::not_found("deviceId"))?)
        }
        "mobiledevices.get" => {
            let device = state.mobile.get(&state.seed, call.key(1));
            frame.object(device.ok_or_else(|| Refusal::not_found("resourceId"))?)
        }
        "domains.list" => {
            own_customer(state, call.key(0))?;
            let row = |(index, name): (usize, &String)| {
                json!({"kind": "admin#directory#domain", "domainName": name, "isPrimary": index == 0,
                    "verified": true, "creationTime": "1700000000000"})
            };
            let rows = state.domains.iter().enumerate().map(row).collect();
            small(frame, DOMAINS.kind, DOMAINS.items, rows)
        }
        "customers.get" => {
            own_customer(state, call.key(0))?;
            let customer = json!({"kind": "admin#directory#customer", "id": state.customer(),
                "customerDomain": state.domains[0], "language": "en",
                "customerCreationTime": "2020-01-01T00:00:00.000Z"});
            frame.object(fields_of(customer))
        }
        "roles.list" => {
            let role = |id: &str, name: &str, all: bool| {
                json!({"kind": "admin#directory#role", "roleId": id, "roleName": name, "isSystemRole": true,
                    "isSuperAdminRole": all})
            };
            let rows = vec![role("1", "_SEED_ADMIN_ROLE", true), role("2", "_GROUPS_ADMIN_ROLE", false)];
            small(frame, ROLES.kind, ROLES.items, rows)
        }
        "roleAssignments.list" => assignments(state, frame),
        _ => activities(state, frame),
    }
}

fn fields_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn small(frame: &Frame<'_>, kind: &'static str, items: &'static str, rows: Vec<Value>) -> Result<Answer, Refusal> {
    let spec = Spec { kind, items, ..DOMAINS };
    let mask = frame.mask(&spec)?;
    let rows = rows.into_iter().map(|row| frame.dressed(fields_of(row))).collect();
    Ok(frame.finished(&spec, &mask, rows, None))
}

/// Rows of a roll; the position is the sort key.
fn rows<'a>(
    walk: impl Iterator<Item = (String, String)> + 'a,
    get: impl Fn(&str) -> Option<Map<String, Value>> + 'a,
) -> Items<'a> {
    Box::new(walk.filter_map(move |(key, id)| get(&id).map(|fields| (key, fields))))
}

/// Rows at hand; the position is their number.
fn numbered<'a>(rows: Vec<Map<String, Value>>, after: &str) -> Items<'a> {
    let first = after.parse::<usize>().map_or(0, |last| last + 1);
    Box::new(rows.into_iter().enumerate().skip(first).map(|(index, fields)| (index.to_string(), fields)))
}

fn own_customer(state: &State, key: &str) -> Result<(), Refusal> {
    if key == "my_customer" || key == state.customer() { Ok(()) } else { Err(Refusal::bad_request()) }
}

pub(crate) fn known_user(state: &State, key: &str) -> Result<String, Refusal> {
    state.user_id(key).ok_or_else(|| unknown(state, key, "userKey"))
}

pub(crate) fn known_group(state: &State, key: &str) -> Result<String, Refusal> {
    state.group_id(key).ok_or_else(|| unknown(state, key, "groupKey"))
}

/// What is in a domain of others is none of the caller's business; what is not there is not found.
fn unknown(state: &State, key: &str, what: &str) -> Refusal {
    let own = |domain: &str| state.domains.iter().any(|own| own.eq_ignore_ascii_case(domain));
    match key.split_once('@') {
        Some((_, domain)) if !own(domain) => Refusal::forbidden(),
        _ => Refusal::not_found(what),
    }
}

/// Which part of the account is asked for: `None` all, else one domain.
fn part<'a>(state: &State, call: &'a Call) -> Result<Option<&'a str>, Refusal> {
    let own = |name: &str| state.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name));
    match (call.parameter("domain"), call.parameter("customer")) {
        (Some(domain), _) if own(domain) => Ok(Some(domain)),
        (Some(_), _) => Err(Refusal::new(404, "domainNotFound", "Domain not found.")),
        (None, Some(customer)) => own_customer(state, customer).map(|()| None),
        (None, None) => Err(Refusal::bad_request()),
    }
}

fn in_domain(email: &str, domain: Option<&str>) -> bool {
    domain.is_none_or(|domain| email.rsplit('@').next().is_some_and(|own| own.eq_ignore_ascii_case(domain)))
}

/// A user as this call shows one: the basic projection is without custom fields.
fn shown_user(mut user: Map<String, Value>, call: &Call) -> Map<String, Value> {
    if !matches!(call.parameter("projection"), Some("full" | "custom")) {
        user.remove("customSchemas");
    }
    user
}

fn users(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let call = frame.call;
    let domain = part(state, call)?;
    let query = Query::parse(call.parameter("query").unwrap_or_default())?;
    let fits = move |user: &Map<String, Value>| in_domain(&text(user, "primaryEmail"), domain) && query.holds(user);
    if call.parameter("showDeleted") == Some("true") {
        let mut rows = state.undeletable();
        rows.retain(fits);
        return frame.page(&USERS, |after| numbered(rows, after));
    }
    let now = frame.now;
    let prefix = Query::parse(call.parameter("query").unwrap_or_default())?;
    let prefix = prefix.email_prefix().unwrap_or_default().to_owned();
    let few = state.users.len(&state.seed) <= 2000;
    let listed = move |id: &str| (state.users.listed_from(id) <= now).then(|| state.user(id)).flatten();
    let order = call.parameter("orderBy");
    let descending = matches!(call.parameter("sortOrder"), Some("DESCENDING" | "descending"));
    if !matches!(order, None | Some("email" | "EMAIL" | "familyName" | "givenName")) {
        return Err(Refusal::new(400, "invalidParameter", "Invalid string value for orderBy"));
    }
    if descending || matches!(order, Some("familyName" | "givenName")) {
        let name = order.filter(|order| *order != "email" && *order != "EMAIL");
        let mut rows: Vec<_> = state.users.walk(&state.seed, "", true).filter_map(|(_, id)| listed(&id)).collect();
        rows.retain(fits);
        // They come by address already.
        rows.sort_by_cached_key(|user| name.map(|name| user["name"][name].as_str().unwrap_or("").to_lowercase()));
        if descending {
            rows.reverse();
        }
        return frame.page(&USERS, |after| numbered(rows, after));
    }
    frame.page(&USERS, |after| {
        // In a large account only primary addresses are looked at: aliases begin like them there.
        let start = if few || prefix.as_str() <= after { after } else { prefix.as_str() };
        let walk = state.users.walk(&state.seed, start, start != after || after.is_empty());
        let walk = walk.take_while(move |(key, _)| few || prefix.is_empty() || key.starts_with(&prefix));
        let found = rows(walk, listed).filter(move |(_, user)| fits(user));
        Box::new(found.map(|(key, user)| (key, shown_user(user, call))))
    })
}

fn groups(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let call = frame.call;
    if let Some(key) = call.parameter("userKey") {
        if call.query.contains_key("customer") {
            return Err(Refusal::bad_request());
        }
        let member =
            state.user_id(key).or_else(|| state.group_id(key)).ok_or_else(|| unknown(state, key, "userKey"))?;
        let walk = state.groups.walk(&state.seed, "", true);
        let rows = walk.filter(|(_, id)| state.is_direct(id, &member)).filter_map(|(_, id)| state.group(&id)).collect();
        return frame.page(&GROUPS, |after| numbered(rows, after));
    }
    let domain = part(state, call)?;
    let query = Query::parse(call.parameter("query").unwrap_or_default())?;
    frame.page(&GROUPS, |after| {
        let walk = state.groups.walk(&state.seed, after, after.is_empty());
        let walk = walk.filter(move |(email, _)| in_domain(email, domain));
        let prefix = query.email_prefix().unwrap_or_default().to_owned();
        Box::new(rows(walk.filter(move |(email, _)| email.starts_with(&prefix)), |id| state.group(id)))
    })
}

fn members(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let call = frame.call;
    let group = known_group(state, call.key(0))?;
    let roles: Vec<String> = call
        .parameter("roles")
        .unwrap_or_default()
        .split(',')
        .filter(|role| !role.is_empty())
        .map(str::to_uppercase)
        .collect();
    let all = [Role::Owner, Role::Manager, Role::Member].map(Role::name);
    if roles.iter().any(|role| !all.contains(&role.as_str())) {
        return Err(Refusal::invalid("roles"));
    }
    let wanted = move |fields: &Map<String, Value>| roles.is_empty() || roles.contains(&text(fields, "role"));
    if call.parameter("includeDerivedMembership") == Some("true") {
        let mut rows: Vec<_> = state.derived_members(&group).iter().map(|member| state.shown_member(member)).collect();
        rows.retain(wanted);
        return frame.page(&MEMBERS, |after| numbered(rows, after));
    }
    frame.page(&MEMBERS, |after| {
        let place = match (after.strip_prefix('g'), after.strip_prefix('a')) {
            (Some(position), _) => position.parse().ok().map(Place::Generated),
            (_, Some(id)) => Some(Place::Added(id.to_owned())),
            _ => None,
        };
        let walk = state.walk_members(&group, place.as_ref()).map(|(place, member)| {
            let position = match place {
                Place::Generated(position) => format!("g{position}"),
                Place::Added(id) => format!("a{id}"),
            };
            (position, state.shown_member(&member))
        });
        // Owned, because the group's id lives in this call only.
        let rows: Vec<_> = walk.filter(|(_, fields)| wanted(fields)).take(MEMBERS.most + 1).collect();
        Box::new(rows.into_iter())
    })
}

/// Finds a member by id or address.
fn find_member(state: &State, group: &str, key: &str) -> Option<Map<String, Value>> {
    let id = state.user_id(key).or_else(|| state.group_id(key)).unwrap_or_else(|| key.to_owned());
    let by_address = || {
        let shown = state.walk_members(group, None).map(|(_, member)| state.shown_member(&member));
        shown.into_iter().find(|fields| text(fields, "email").eq_ignore_ascii_case(key))
    };
    state.member(group, &id).map(|member| state.shown_member(&member)).or_else(by_address)
}

fn has_member(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let group = known_group(state, frame.call.key(0))?;
    let key = frame.call.key(1);
    let id = state.user_id(key).or_else(|| state.group_id(key)).ok_or_else(|| Refusal::invalid("memberKey"))?;
    let is = state.derived_members(&group).iter().any(|member| member.id == id);
    frame.object(fields_of(json!({"isMember": is})))
}

fn orgunits(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let call = frame.call;
    own_customer(state, call.key(0))?;
    let base = call.parameter("orgUnitPath").unwrap_or_default().trim_matches('/');
    let base = if base.is_empty() { "/".to_owned() } else { format!("/{base}") };
    if base != "/" && !state.orgunits.contains_key(&base) {
        return Err(Refusal::new(404, "notFound", "Org unit not found"));
    }
    let stem = if base == "/" { base.clone() } else { format!("{base}/") };
    let kind = call.parameter("type").unwrap_or("children");
    let wanted = |path: &str| match kind {
        "all" => path.starts_with(&stem),
        "allIncludingParent" | "ALL_INCLUDING_PARENT" => path == base || path.starts_with(&stem),
        _ => parent_of(path) == base,
    };
    let mut rows: Vec<_> =
        state.orgunits.iter().filter(|(path, _)| wanted(path)).map(|(_, unit)| frame.dressed(unit.clone())).collect();
    if kind.eq_ignore_ascii_case("allIncludingParent") && base == "/" {
        rows.insert(0, frame.dressed(root_unit(state)));
    }
    let mask = frame.mask(&ORGUNITS)?;
    Ok(frame.finished(&ORGUNITS, &mask, rows, None))
}

fn root_unit(state: &State) -> Map<String, Value> {
    fields_of(json!({"kind": "admin#directory#orgUnit", "name": state.domains[0], "description": "",
        "orgUnitId": ROOT_UNIT, "orgUnitPath": "/", "blockInheritance": false}))
}

fn orgunit(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    own_customer(state, frame.call.key(0))?;
    let key = frame.call.keys[1..].join("/");
    let path = format!("/{}", key.trim_matches('/'));
    let by_id = || state.orgunits.values().find(|unit| text(unit, "orgUnitId") == key);
    let unit = match (path.as_str(), key.as_str()) {
        ("/", _) | (_, ROOT_UNIT) => Some(root_unit(state)),
        _ => state.orgunits.get(&path).or_else(by_id).cloned(),
    };
    frame.object(unit.ok_or_else(|| Refusal::new(404, "notFound", "Org unit not found"))?)
}

fn assignments(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let row = |id: &str, role: &str| {
        json!({"kind": "admin#directory#roleAssignment", "roleAssignmentId": format!("9{role}"), "roleId": role,
            "assignedTo": id, "assigneeType": "user", "scopeType": "CUSTOMER"})
    };
    let wanted = frame.call.parameter("userKey").map(|key| known_user(state, key)).transpose()?;
    let mut rows = Vec::new();
    if let Some(id) = wanted {
        let user = state.user(&id).unwrap_or_default();
        let delegated = addresses_of(&user, &text(&user, "primaryEmail"))
            .iter()
            .any(|address| frame.settings.administrators.contains_key(address));
        if user.get("isAdmin") == Some(&json!(true)) {
            rows.push(row(&id, "1"));
        } else if delegated {
            rows.push(row(&id, "2"));
        }
    }
    small(frame, ASSIGNMENTS.kind, ASSIGNMENTS.items, rows)
}

fn activities(state: &State, frame: &Frame<'_>) -> Result<Answer, Refusal> {
    let call = frame.call;
    let application = call.key(1);
    if !matches!(application, "admin" | "groups" | "groups_enterprise" | "login" | "user_accounts" | "token") {
        return Err(Refusal::bad_request());
    }
    let time = |name: &str| match call.parameter(name) {
        None => Ok(None),
        Some(text) => read(text).map(Some).ok_or_else(|| Refusal::invalid(text)),
    };
    let (start, end) = (time("startTime")?.unwrap_or(i64::MIN), time("endTime")?.unwrap_or(i64::MAX));
    if start > frame.now {
        return Err(Refusal::invalid("startTime"));
    }
    let log = frame.settings.audit_log;
    let wanted = |activity: &&Activity| {
        activity.application == application
            && (start..=end).contains(&activity.at)
            && activity.shows(frame.now, log)
            && (frame.settings.log_groups || activity.kind != "GROUP_SETTINGS")
            && call.parameter("eventName").is_none_or(|name| name == activity.name)
    };
    let actor = format!("admin@{}", state.domains[0]);
    // The newest first; the position is the entry's number, so that new entries do not shift what follows.
    frame.page(&ACTIVITIES, |after| {
        let before = after.parse().unwrap_or(u64::MAX);
        let found = state.activities.iter().rev().filter(|activity| activity.number < before).filter(wanted);
        let rows: Vec<_> = found
            .take(ACTIVITIES.most + 1)
            .map(|activity| (activity.number.to_string(), fields_of(activity.shown(state.customer(), &actor))))
            .collect();
        Box::new(rows.into_iter())
    })
}
