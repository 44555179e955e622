//! Whether a position can still be gone on from, and what has to be asked whichever method tells of changes.
//!
//! It must not know how changes are told.

use crate::filetime::{self, Interval};
use crate::{Dn, Filter};
use tenantry::Result;
use tenantry::endpoint::Context;
use uuid::Uuid;

use crate::domain::controller::{self, Controller, NOW};
use crate::domain::cursor::Position;
use crate::domain::error::base_unseen;
use crate::domain::gathering::Gathering;
use crate::domain::reader::Shared;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// What Active Directory assumes where no lifetime of tombstones is set.
const TOMBSTONE_DAYS: i64 = 60;
/// By how much clocks may drift apart between two runs.
const DRIFT: i64 = 10 * 60 * 1000;

/// What can be gone on with.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) controller: Controller,
    /// Where it is now.
    pub(crate) now: Position,
    /// Whether change numbers can be read, if there are new ones.
    pub(crate) numbers_readable: bool,
}

/// Goes back to the controller of a position; nothing if the position is of no more use.
pub(crate) async fn resume(shared: &Shared, cx: &Context, since: &Position) -> Result<Option<Resumed>> {
    let connection = &shared.connection;
    let controller = connection.go_to(cx, &since.server, since.invocation).await?;
    let expired = |reason: &str| {
        tracing::info!(server = %since.server, "changes cannot be read behind the last run: {reason}");
        Ok(None)
    };
    if controller.position.invocation != since.invocation || controller.position.service != since.service {
        return expired("another domain controller answers, or this one was restored");
    }
    let pin = since.invocation;
    // Read before the first search: what changes from here on comes in the next delta, perhaps once more.
    let now = controller.now(&connection.root(cx, Some(pin), NOW).await?)?;
    if now.usn < since.usn {
        return expired("the domain controller has gone back");
    }
    let age = now.time.saturating_sub(since.time);
    if age < -DAY {
        return expired("the domain controller's clock has gone back");
    }
    // No forest keeps tombstones for less than two days; a day is left for the reading itself.
    if age >= DAY && age >= tombstone_lifetime(shared, cx, pin, &controller.configuration).await? - DAY {
        return expired("deleted objects are not kept for so long");
    }
    if now.usn == since.usn {
        return Ok(Some(Resumed { controller, now, numbers_readable: true }));
    }
    let attributes = ["lockoutDuration", "maxPwdAge", "uSNChanged"];
    let head = connection.object(cx, "read the domain", Some(pin), &controller.domain, &attributes, &[]).await?;
    if let Some(head) = &head
        && controller::policy(head)? != since.policy
    {
        // What is known of the controller is from before.
        connection.renew().await;
        return expired("the domain's policy of lock-outs or passwords has changed");
    }
    let numbers_readable = head.is_some_and(|head| head.is_present("uSNChanged"));
    Ok(Some(Resumed { controller, now, numbers_readable }))
}

/// Returns the base as the controller writes it: by that name, and no other, what lies elsewhere can be told. Nothing if
/// it is the whole domain.
pub(crate) async fn real_base(gathering: &Gathering) -> Result<Option<Dn>> {
    let Gathering { shared, cx, controller, .. } = gathering;
    let Some(base) = &shared.config.base else { return Ok(None) };
    let pin = Some(gathering.pin());
    let entry = shared.connection.object(cx, "read the base", pin, &base.to_string(), &["1.1"], &[]).await?;
    let real = Dn::parse(entry.ok_or_else(base_unseen)?.dn())?;
    Ok(Some(real).filter(|real| !controller.head.dn.is_under(real)))
}

/// Selects the users whose account, lock-out or password came to its end since a position: that changes what they are,
/// and nothing tells of it. The first is judged by the clock here, the others by the controller's.
pub(crate) fn expiring(gathering: &Gathering, since: &Position, now: &Position) -> Result<Filter> {
    let Gathering { cx, controller, .. } = gathering;
    let ahead = cx.gate().clock().now_unix_millis().saturating_sub(now.time);
    let between = |attribute: &str, earlier: i64| {
        let ticks = |time: i64| filetime::from_unix_millis(time.saturating_sub(earlier)).unwrap_or(1).max(1);
        let (from, to) = (ticks(since.time.saturating_sub(DRIFT)), ticks(now.time));
        Filter::parse(&format!("(&({attribute}>={from})({attribute}<={to}))"))
    };
    let millis = |interval: Option<Interval>| match interval {
        Some(Interval::Of(duration)) if !duration.is_zero() => i64::try_from(duration.as_millis()).ok(),
        _ => None,
    };
    let mut ends = vec![between("accountExpires", ahead.saturating_neg())?];
    if let Some(lockout) = millis(controller.head.lockout) {
        ends.push(between("lockoutTime", lockout)?);
    }
    if let Some(age) = millis(controller.password_age) {
        ends.push(between("pwdLastSet", age)?);
    }
    Filter::or(ends)
}

/// Reads how long tombstones are kept, in milliseconds.
async fn tombstone_lifetime(shared: &Shared, cx: &Context, pin: Uuid, configuration: &str) -> Result<i64> {
    let name = format!("CN=Directory Service,CN=Windows NT,CN=Services,{configuration}");
    let attributes = ["tombstoneLifetime"];
    let entry = shared.connection.object(cx, "read the lifetime of tombstones", Some(pin), &name, &attributes, &[]);
    let days = entry.await?.map(|entry| entry.i64("tombstoneLifetime")).transpose()?.flatten();
    Ok(days.filter(|days| *days > 0).unwrap_or(TOMBSTONE_DAYS).saturating_mul(DAY))
}
