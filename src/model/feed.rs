//! What a platform shows of what happened and of what needs somebody: events, alerts, suggestions, reminders.
//!
//! It reads nothing and decides nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Action, EndpointName, Event, PlanId, RecordId, Timestamp};
use crate::error::{Error, Result};

/// Where a page of a feed ended: opaque, good for the same feed only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeedCursor(String);

impl FeedCursor {
    /// Takes a cursor back that was given out.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the cursor, to be given back later.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part of a feed, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedPage<T> {
    /// The entries. There may be fewer than asked for, also none, where more follow.
    pub entries: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<FeedCursor>,
}

/// The id of one series of actions. Asked for twice under the same id, what was done is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(pub uuid::Uuid);

impl ActionId {
    /// Draws the id of a series that was not asked for before.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An action that somebody asked of one record's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The series that it belongs to.
    pub request: ActionId,
    /// When it was asked for.
    pub at: Timestamp,
    /// Who asked: the host's own word, opaque here.
    pub by: String,
    /// What was asked.
    pub action: Action,
    /// Of whom.
    pub record: RecordId,
    /// Through which endpoint; `None` where none owns the record.
    pub endpoint: Option<EndpointName>,
    /// What became of it, as one word; `None` as long as that is not known. A process that ended in between leaves it
    /// so: the next import reads what the account is like.
    pub result: Option<String>,
    /// Why not, if it was not done.
    pub reason: Option<String>,
}

/// One entry of what happened.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Happening {
    /// An applied change, as consumers see it.
    Event(Event),
    /// An action that was asked for.
    Action(Asked),
}

/// Which of the lists that need somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// Something is wrong.
    Alerts,
    /// Something could be better.
    Suggestions,
    /// Something is due.
    Reminders,
}

impl Feed {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Alerts, Self::Reminders, Self::Suggestions];

    /// Returns the feed as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Suggestions => "suggestions",
            Self::Reminders => "reminders",
        }
    }
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody has to look: until then nothing goes on.
    Critical,
}

macro_rules! topics {
    ($($(#[$doc:meta])* $variant:ident = $text:literal in $feed:ident $severity:ident,)+) => {
        /// What a notice is about. Its spelling is stable, for rules.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Topic {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)+
        }

        impl Topic {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the topic as it is spelled.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Returns the feed in which it is told.
            pub const fn feed(self) -> Feed {
                match self {
                    $(Self::$variant => Feed::$feed,)+
                }
            }

            /// Returns how much it matters.
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)+
                }
            }
        }
    };
}

topics! {
    /// Imports of an endpoint fail, since the last one that did not.
    ImportFailed = "import-failed" in Alerts Critical,
    /// An endpoint refuses its credentials; imports fail until somebody renews them.
    CredentialsRefused = "credentials-refused" in Alerts Critical,
    /// An endpoint accepts its credentials, and they lack a right without which nothing can be imported.
    RightMissing = "right-missing" in Alerts Critical,
    /// An endpoint shows less than before: what disappears is not believed.
    CoverageChanged = "coverage-changed" in Alerts Warning,
    /// A listing left out what is there.
    ListingShort = "listing-short" in Alerts Warning,
    /// What seems to be gone could not be looked up.
    LookUpFailed = "look-up-failed" in Alerts Warning,
    /// Memberships could not be read a second time.
    SecondReadingFailed = "second-reading-failed" in Alerts Warning,
    /// A plan was taken up so late that some of it is not true any more.
    PlanOutdated = "plan-outdated" in Alerts Info,
    /// Changes are held back until somebody approves them.
    HeldForApproval = "held-for-approval" in Alerts Warning,
    /// More would go at once than the guard lets pass.
    GuardTripped = "guard-tripped" in Alerts Critical,
    /// Records are set aside: what the endpoint says of them cannot be understood.
    RecordsSetAside = "records-set-aside" in Alerts Warning,
    /// A consumer of events has not read what is no longer kept: it misses changes until it starts anew from an export.
    ConsumerCutOff = "consumer-cut-off" in Alerts Critical,
    /// A record is not seen in complete listings, and not proven gone. Told of single records only.
    Missing = "missing" in Alerts Info,
    /// Two records seem to be one person; somebody may join them.
    ProbableJoin = "probable-join" in Suggestions Info,
    /// Two records contradict each other.
    Duplicate = "duplicate" in Suggestions Warning,
    /// Users are in no group but those that stand for endpoints.
    UsersWithoutGroup = "users-without-group" in Suggestions Info,
    /// Held changes have waited for a day.
    PlanWaiting = "plan-waiting" in Reminders Warning,
    /// The cursor of an endpoint is about to expire: the import behind it lists everything anew.
    CursorExpiring = "cursor-expiring" in Reminders Info,
}

impl Topic {
    /// Reads a topic as it is spelled.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.as_str() == text)
    }
}

/// The id of a notice: what it is about and whose, and which cause it has. A new cause of the same is another id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoticeId {
    pub(crate) topic: Topic,
    /// Whose it is: an endpoint, records, a plan.
    pub(crate) of: String,
    /// What tells its causes apart: numbers that grow, so that an answer to one is an answer to those before it.
    pub(crate) cause: [i64; 2],
}

impl NoticeId {
    pub(crate) fn new(topic: Topic, of: impl Into<String>, cause: [i64; 2]) -> Self {
        Self { topic, of: of.into(), cause }
    }

    /// Returns what stays the same whatever the cause.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.topic.as_str(), self.of)
    }

    /// Reads an id as it was given out.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for what is no id.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = || {
            let (key, cause) = text.rsplit_once('@')?;
            let (topic, of) = key.split_once('/')?;
            let (first, second) = cause.split_once('.')?;
            Some(Self::new(Topic::parse(topic)?, of, [first.parse().ok()?, second.parse().ok()?]))
        };
        parts().ok_or_else(|| Error::config("this is no id of a notice; take the one that it came with"))
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}.{}", self.topic.as_str(), self.of, self.cause[0], self.cause[1])
    }
}

impl From<NoticeId> for String {
    fn from(id: NoticeId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for NoticeId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

/// What somebody made of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Somebody has seen it; it is still listed.
    Acknowledged,
    /// Nobody wants to see it again; it is not listed.
    Dismissed,
}

/// An answer, whose, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// What was said.
    pub answer: Answer,
    /// Who said it: the host's own word, opaque here.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Something that needs somebody. It ends with its cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Which one; stable as long as the cause is the same.
    pub id: NoticeId,
    /// In which feed.
    pub feed: Feed,
    /// What it is about.
    pub topic: Topic,
    /// How much it matters.
    pub severity: Severity,
    /// Whose it is, where it is an endpoint's.
    pub endpoint: Option<EndpointName>,
    /// The records that it is about, where it is about single ones.
    pub records: Vec<RecordId>,
    /// What to approve, where something waits for that.
    pub plan: Option<PlanId>,
    /// How many it is about, where it is about many.
    pub count: Option<u64>,
    /// Since when; `None` where nobody noted it.
    pub since: Option<Timestamp>,
    /// What is the matter, for people.
    pub text: String,
    /// What to do, for people.
    pub remedy: String,
    /// What somebody made of it, if that was about this cause.
    pub answered: Option<Answered>,
}

/// Which notices of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct NoticeQuery {
    /// In which feed.
    pub feed: Feed,
    /// Only those that concern this record.
    pub record: Option<RecordId>,
    /// Those as well that somebody dismissed.
    pub with_dismissed: bool,
}

impl NoticeQuery {
    /// Asks for all of a feed that nobody dismissed.
    pub fn new(feed: Feed) -> Self {
        Self { feed, record: None, with_dismissed: false }
    }

    /// Asks for what concerns one record only.
    pub fn of(mut self, record: RecordId) -> Self {
        self.record = Some(record);
        self
    }

    /// Asks for what was dismissed as well.
    pub fn with_dismissed(mut self) -> Self {
        self.with_dismissed = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_nothing_else_does() {
        for topic in Topic::ALL {
            let id = NoticeId::new(*topic, "ad/0123@x", [i64::MAX, -3]);
            assert_eq!(NoticeId::parse(&id.to_string()).unwrap(), id);
        }
        for wrong in ["", "duplicate", "duplicate/a", "duplicate/a@1", "other/a@1.2", "duplicate/a@1.x"] {
            assert!(NoticeId::parse(wrong).is_err(), "{wrong}");
        }
    }
}
