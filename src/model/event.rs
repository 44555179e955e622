//! One applied change, as consumers see it: CloudEvents 1.0 in JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Timestamp;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $text:literal,)+) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventType {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)+
        }

        impl EventType {
            /// Returns the CloudEvents `type`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Returns the number under which the outbox keeps it.
            pub(crate) const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// Reads the number under which the outbox keeps it.
            pub(crate) const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

event_types! {
    /// A user was created or changed.
    UserUpserted = 1 "tenantry.user.upserted",
    /// A user was removed.
    UserRemoved = 2 "tenantry.user.removed",
    /// Two users turned out to be one.
    UserMerged = 3 "tenantry.user.merged",
    /// One user turned out to be two.
    UserSplit = 4 "tenantry.user.split",
    /// A group was created or changed.
    GroupUpserted = 5 "tenantry.group.upserted",
    /// A group was removed.
    GroupRemoved = 6 "tenantry.group.removed",
    /// A computer was created or changed.
    ComputerUpserted = 7 "tenantry.computer.upserted",
    /// A computer was removed.
    ComputerRemoved = 8 "tenantry.computer.removed",
    /// A membership began.
    MemberAdded = 9 "tenantry.member.added",
    /// A membership ended.
    MemberRemoved = 10 "tenantry.member.removed",
    /// Two sources contradict each other.
    ConflictFound = 11 "tenantry.conflict.found",
    /// A record was set aside.
    RecordQuarantined = 12 "tenantry.record.quarantined",
    /// Removals are held back for approval.
    RemovalsParked = 13 "tenantry.removals.parked",
    /// An import ended.
    ImportFinished = 14 "tenantry.import.finished",
    /// Something needs a person.
    AlertRaised = 15 "tenantry.alert.raised",
}

/// One event of the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Always `1.0`.
    pub specversion: String,
    /// Deterministic: the same change has the same id, also after a crash.
    pub id: String,
    /// `/customers/<id>/endpoints/<name>`, or `/customers/<id>` for local edits.
    pub source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The record's id; of an event about a run, the run's.
    pub subject: String,
    /// Position in the customer's outbox, in decimal digits.
    pub sequence: String,
    /// When it was applied, RFC 3339.
    pub time: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// What changed.
    pub data: Box<RawValue>,
}

impl Event {
    /// Returns the position in the customer's outbox.
    pub fn position(&self) -> u64 {
        self.sequence.parse().unwrap_or(0)
    }

    /// Reads `data` as a JSON value.
    pub fn data_value(&self) -> serde_json::Value {
        serde_json::from_str(self.data.get()).unwrap_or_default()
    }

    /// Returns the CloudEvents `time` of a point in time.
    pub(crate) fn time_of(time: Timestamp) -> String {
        time.to_string()
    }
}
