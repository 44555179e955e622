//! The two resume points: inside a listing, and between runs. It must not know how a page is read.
//!
//! Links are kept without scheme and host: whoever reads them puts the configured ones before them, so that a token
//! never goes anywhere else, whatever a stored link may say.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenantry::endpoint::{Checkpoint, Cursor};
use tenantry::model::ObjectKind;
use tenantry::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::asleep::Asleep;
use crate::lanes::Positions;

/// Counts up when a resume point of an older layout may no longer be used.
const VERSION: u16 = 1;
const CHECKPOINT_VERSION: u16 = 1;

/// Graph keeps a delta token of directory objects for seven days; an hour less allows for clocks.
const LIFE: Duration = Duration::from_hours(7 * 24 - 1);

/// Path and query of a link that Graph gave: opaque, and never shown, since it holds a token.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Link(pub(crate) Box<str>);

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({} bytes)", self.0.len())
    }
}

/// The links of all kinds: none where the application may not read one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Links {
    pub(crate) users: Option<Link>,
    pub(crate) groups: Option<Link>,
    pub(crate) devices: Option<Link>,
}

impl Links {
    /// In the order in which they are read.
    pub(crate) fn each(&self) -> [(ObjectKind, Option<&Link>); 3] {
        [
            (ObjectKind::User, self.users.as_ref()),
            (ObjectKind::Group, self.groups.as_ref()),
            (ObjectKind::Computer, self.devices.as_ref()),
        ]
    }

    pub(crate) fn set(&mut self, kind: ObjectKind, link: Option<Link>) {
        match kind {
            ObjectKind::User => self.users = link,
            ObjectKind::Group => self.groups = link,
            ObjectKind::Computer => self.devices = link,
        }
    }
}

/// Where deltas go on: of which tenant, under which rights, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Since {
    /// The tenant's id.
    pub(crate) tenant: Uuid,
    /// The rights by which was read: what more of them show is told by no delta.
    pub(crate) rights: BTreeSet<String>,
    /// When the links were taken, in milliseconds since 1970.
    pub(crate) taken: i64,
    pub(crate) links: Links,
    /// Who slept when the last listing began.
    pub(crate) asleep: Asleep,
    /// Where the lanes stand that are read beside the directory.
    #[serde(default)]
    pub(crate) lanes: Positions,
}

impl Since {
    /// Where no delta is to follow.
    pub(crate) fn nothing(tenant: Uuid, now: i64) -> Self {
        let links = Links { users: None, groups: None, devices: None };
        let (asleep, lanes) = (Asleep::default(), Positions::default());
        Self { tenant, rights: BTreeSet::new(), taken: now, links, asleep, lanes }
    }

    /// Returns the resume point between runs.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(VERSION, to_json(self))
    }

    /// Reads a cursor; nothing if it is not one of this version.
    pub(crate) fn read(cursor: &Cursor) -> Option<Self> {
        if cursor.version() != VERSION {
            return None;
        }
        serde_json::from_slice(cursor.bytes()).ok()
    }

    /// Tells whether it is of this tenant, under these rights, and young enough for Graph to remember.
    pub(crate) fn is_usable(&self, tenant: Uuid, rights: &BTreeSet<String>, now: i64) -> bool {
        self.tenant == tenant && self.rights == *rights && !self.is_old(now)
    }

    pub(crate) fn is_old(&self, now: i64) -> bool {
        let life = i64::try_from(LIFE.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(self.taken) >= life
    }
}

/// A part of a listing that has not been read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    /// Users whose login names lie between two, both included.
    Users {
        from: Option<Box<str>>,
        to: Option<Box<str>>,
        next: Option<Link>,
    },
    Groups {
        next: Option<Link>,
    },
    Devices {
        next: Option<Link>,
    },
    Members {
        group: Box<str>,
        next: Option<Link>,
    },
}

impl Task {
    pub(crate) fn kind(&self) -> ObjectKind {
        match self {
            Self::Users { .. } => ObjectKind::User,
            Self::Groups { .. } | Self::Members { .. } => ObjectKind::Group,
            Self::Devices { .. } => ObjectKind::Computer,
        }
    }

    pub(crate) fn is_groups(&self) -> bool {
        matches!(self, Self::Groups { .. })
    }

    /// Returns what tells its chain of pages from others.
    pub(crate) fn key(&self) -> Box<str> {
        match self {
            Self::Users { from, .. } => format!("users from {}", from.as_deref().unwrap_or_default()).into(),
            Self::Groups { .. } => "groups".into(),
            Self::Devices { .. } => "devices".into(),
            Self::Members { group, .. } => group.clone(),
        }
    }

    /// Returns what is left of it behind a page.
    pub(crate) fn behind(self, link: Link) -> Self {
        self.at(Some(link))
    }

    pub(crate) fn begun_anew(self) -> Self {
        self.at(None)
    }

    fn at(self, next: Option<Link>) -> Self {
        match self {
            Self::Users { from, to, .. } => Self::Users { from, to, next },
            Self::Groups { .. } => Self::Groups { next },
            Self::Devices { .. } => Self::Devices { next },
            Self::Members { group, .. } => Self::Members { group, next },
        }
    }
}

/// How a listing goes on: what is left of it, and where deltas begin when it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frontier {
    pub(crate) since: Since,
    pub(crate) left: Vec<Task>,
    /// Kinds that may not be read: they are not closed at the end.
    pub(crate) unreadable: Vec<ObjectKind>,
}

impl Frontier {
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(CHECKPOINT_VERSION, to_json(self))
    }

    /// Reads a checkpoint of this tenant.
    ///
    /// # Errors
    /// `Conflict` if it is not one of this version and tenant, or so old that its delta links are forgotten.
    pub(crate) fn read(checkpoint: &Checkpoint, tenant: Uuid, now: i64) -> Result<Self> {
        let refused = || Error::new(ErrorKind::Conflict, "the listing cannot go on from here and begins anew");
        if checkpoint.version() != CHECKPOINT_VERSION {
            return Err(refused());
        }
        let frontier: Self =
            serde_json::from_slice(checkpoint.bytes()).map_err(|error| refused().with_source(error))?;
        if frontier.since.tenant != tenant || frontier.since.is_old(now) {
            return Err(refused());
        }
        Ok(frontier)
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text, numbers and ids can be written as JSON")
}

#[cfg(test)]
mod tests {
    use tenantry::model::SourceId;

    use super::*;

    const NOW: i64 = 1_767_225_600_000;

    fn since() -> Since {
        let link = |text: &str| Some(Link(text.into()));
        Since {
            tenant: Uuid::from_u128(7),
            rights: ["User.Read.All".to_owned()].into(),
            taken: NOW,
            links: Links { users: link("/v1.0/users/delta?$deltatoken=secret"), groups: link("/g"), devices: None },
            asleep: Asleep::of(Some(vec![SourceId::Guid(Uuid::from_u128(5))]), NOW),
            lanes: Positions::default(),
        }
    }

    fn frontier() -> Frontier {
        let left = vec![
            Task::Users { from: None, to: Some("m".into()), next: Some(Link("/secret".into())) },
            Task::Members { group: Uuid::from_u128(1).to_string().into(), next: None },
        ];
        Frontier { since: since(), left, unreadable: vec![ObjectKind::Computer] }
    }

    #[test]
    fn both_resume_points_read_back_and_show_no_token() {
        assert_eq!(Since::read(&since().cursor()), Some(since()));
        assert_eq!(Frontier::read(&frontier().checkpoint(), Uuid::from_u128(7), NOW).unwrap(), frontier());
        assert!(!format!("{:?}", frontier()).contains("secret"));
    }

    #[test]
    fn a_cursor_of_another_version_or_garbage_is_none() {
        let cursor = since().cursor();
        for foreign in [
            Cursor::new(9, cursor.bytes()),
            Cursor::new(VERSION, b"{}".as_slice()),
            Cursor::new(VERSION, b"\xff".as_slice()),
        ] {
            assert_eq!(Since::read(&foreign), None);
        }
    }

    #[test]
    fn another_tenant_other_rights_and_a_week_make_a_cursor_useless() {
        let (tenant, rights) = (Uuid::from_u128(7), since().rights);
        let day = 24 * 60 * 60 * 1000;
        assert!(since().is_usable(tenant, &rights, NOW + 6 * day));
        assert!(!since().is_usable(tenant, &rights, NOW + 7 * day));
        assert!(!since().is_usable(Uuid::from_u128(8), &rights, NOW));
        assert!(!since().is_usable(tenant, &BTreeSet::new(), NOW));
    }

    #[test]
    fn an_unusable_checkpoint_is_a_conflict() {
        let good = frontier().checkpoint();
        for (checkpoint, tenant, now) in [
            (Checkpoint::new(2, good.bytes()), 7, NOW),
            (Checkpoint::new(CHECKPOINT_VERSION, b"{}".as_slice()), 7, NOW),
            (good.clone(), 8, NOW),
            (good, 7, NOW + 8 * 24 * 60 * 60 * 1000),
        ] {
            let error = Frontier::read(&checkpoint, Uuid::from_u128(tenant), now).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Conflict);
        }
    }
}
