//! The check before an endpoint is saved: who answers, which rights, what will not be seen, how much work.
//! It must not change anything.

use crate::{Control, SearchRequest};
use tenantry::endpoint::{Context, Estimate, Right, Verification};
use tenantry::{Error, ErrorKind, Result};

use crate::domain::config::DeltaMethod;
use crate::domain::connection::Paged;
use crate::domain::controller::Controller;
use crate::domain::dirsync::{Access, REPLICATE};
use crate::domain::error::base_gone;
use crate::domain::listing::Class;
use crate::domain::reader::{READ_DELETED, READ_MEMBERS, Shared};
use crate::domain::{delta, probe};

/// Pages counted of each class; beyond that the count is left open.
const COUNTED_PAGES: u32 = 100;
/// What a controller gives in a second, by experience.
const OBJECTS_PER_SECOND: u64 = 1500;

pub(crate) async fn verify(shared: &Shared, cx: &Context) -> Result<Verification> {
    let controller = shared.connection.controller(cx).await?;
    shared.check_base(cx, &controller).await?;
    let deleted = probe::tombstones(&shared.connection, cx, &controller, None).await?;
    let members = probe::members(&shared.connection, cx, &controller).await?;
    let right =
        |name: &str, granted, purpose: &str| Right { name: name.to_owned(), granted, purpose: purpose.to_owned() };
    let mut rights = vec![
        right("bind", true, "to read anything at all"),
        right(READ_MEMBERS, members, "to tell a group without members from one whose members are hidden"),
        right(READ_DELETED, deleted, "to tell a deleted object from a hidden one"),
    ];
    for (name, granted, purpose) in shared.attribute_rights(cx, &controller).await? {
        rights.push(Right { name, granted, purpose });
    }
    let (access, no_changes) = changes(shared, cx, &controller).await?;
    rights.extend(access);
    let mut not_seen = not_seen(shared, &controller, deleted, members);
    not_seen.extend(no_changes);
    Ok(Verification {
        identity: format!("{} ({})", controller.domain_id, controller.dns_name()),
        server: describe(&controller),
        rights,
        not_seen,
        estimate: estimate(shared, cx, &controller).await?,
    })
}

/// Tells by which right changes come, if DirSync is to be asked, and what becomes of it if they do not.
async fn changes(shared: &Shared, cx: &Context, controller: &Controller) -> Result<(Option<Right>, Option<String>)> {
    if shared.config.delta != DeltaMethod::DirSync {
        return Ok((None, None));
    }
    let purpose = "to tell what changed, by DirSync".to_owned();
    let right = |granted| Some(Right { name: REPLICATE.to_owned(), granted, purpose });
    match Access::find(shared, cx, controller).await {
        Ok(Access::Replication) => Ok((right(true), None)),
        Ok(Access::ObjectSecurity) => {
            let text = format!(
                "DirSync tells only what the account may read, object by object; with the right \"{REPLICATE}\" on the \
                 domain object it tells all."
            );
            Ok((right(false), Some(text)))
        }
        Err(error) if is_denied_right(&error) => {
            let text = format!(
                "Changes are not told: the account gets none by DirSync. Delegate the right \"{REPLICATE}\" on the domain \
                 object to it, or set delta = \"usn\"."
            );
            Ok((right(false), Some(text)))
        }
        Err(error) => Err(error),
    }
}

fn is_denied_right(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied { .. })
}

fn describe(controller: &Controller) -> String {
    let what = if controller.read_only { "read-only domain controller" } else { "domain controller" };
    let level = controller.level.map_or_else(|| "unknown".to_owned(), |level| level.to_string());
    format!("{}, {what}, functional level {level}", controller.position.server)
}

fn not_seen(shared: &Shared, controller: &Controller, deleted: bool, members: bool) -> Vec<String> {
    let mut sentences =
        vec!["Other domains of the forest are not read; their objects appear as members of groups only.".to_owned()];
    if !deleted {
        let text = "Deleted objects cannot be read: a removal is proven only by looking the object up beside its siblings. \
                    Let the account list and read CN=Deleted Objects.";
        sentences.push(text.to_owned());
    }
    if !members {
        sentences.push("Members of groups cannot be read; let the account read the attribute member.".to_owned());
    }
    if controller.read_only {
        let text = "The server is a read-only domain controller: attributes that are kept from it look empty. \
                    Use a writable one.";
        sentences.push(text.to_owned());
    }
    let config = &shared.config;
    if config.base.as_ref().is_some_and(|base| *base != controller.head.dn) {
        sentences.push("Objects outside of the base are not read.".to_owned());
    }
    if !config.exclude.is_empty() {
        sentences.push(format!("{} excluded containers are not read.", config.exclude.len()));
    }
    for &class in shared.classes() {
        if config.filter(class).is_some() {
            sentences.push(format!("Only {}s that match the configured filter are read.", class.kind()));
        }
    }
    if let Some((class, attribute)) = delta::hindrance(shared).filter(|_| config.delta != DeltaMethod::Off) {
        sentences.push(format!(
            "The filter of {}s asks for {attribute}, which changes without a trace on them: every run lists everything.",
            class.kind()
        ));
    }
    sentences
}

async fn estimate(shared: &Shared, cx: &Context, controller: &Controller) -> Result<Estimate> {
    let (mut estimate, mut sum) = (Estimate::default(), Some(0));
    for &class in shared.classes() {
        let count = self::count(shared, cx, controller, class).await?;
        sum = sum.zip(count).map(|(sum, count): (u64, u64)| sum + count);
        match class {
            Class::Groups => estimate.groups = count,
            Class::Users => estimate.users = count,
            Class::Computers => estimate.computers = count,
        }
    }
    let pages = |objects: u64| objects / u64::from(shared.config.page_size) + 1;
    estimate.calls = sum.map(|sum| pages(sum) + 2 * shared.classes().len() as u64);
    estimate.seconds = sum.map(|sum| sum / OBJECTS_PER_SECOND + 1);
    Ok(estimate)
}

/// Counts what a class holds, by names only; nothing if it is more than is worth counting.
async fn count(shared: &Shared, cx: &Context, controller: &Controller, class: Class) -> Result<Option<u64>> {
    let request = SearchRequest::new(shared.base(controller), shared.filter(class)?)
        .attributes(["1.1"])
        .page_size(shared.config.page_size)
        .control(Control::domain_scope().optional());
    let (mut objects, mut cookie) = (0_u64, None);
    for _ in 0..COUNTED_PAGES {
        let read = shared.connection.page(cx, "count", None, &request, cookie.as_ref()).await;
        match read.map_err(base_gone)? {
            Paged::Page(page, next) => {
                objects += page.entries.len() as u64;
                match next {
                    Some(next) => cookie = Some(next),
                    None => return Ok(Some(objects)),
                }
            }
            // An estimate is not worth a second try.
            Paged::CookieLost => return Ok(None),
        }
    }
    Ok(None)
}
